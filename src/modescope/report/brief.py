"""A short table of scores, of whatever was measured: a row for each set of images, the floor last."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modescope.config import results_folder
from modescope.files import read_json
from modescope.report.tables import Table, columns

SHOWN = columns(
    "num_samples",
    "fid_classifier",
    "kid_classifier_mean",
    "is_classifier_mean",
    "fid",
    "kid_mean",
    "is_mean",
    "class_consistency",
    "precision",
    "recall",
    "coverage",
    "class_share_tv",
    "modes_covered",
    "kl_to_uniform",
)
FLOOR = "real images (floor)"


def brief(title: str, rows: Mapping[str, Mapping[str, Any]], caption: str = "", notes: Sequence[str] = ()) -> Table:
    """Metrics by name under the columns of `SHOWN` that any of them has; the floor, if it is there, printed softer."""
    cells = [
        {"row": name, "quiet": name == FLOOR}
        | {key: value for key, value in values.items() if not isinstance(value, list)}
        for name, values in rows.items()
    ]
    shown = [column for column in SHOWN if any(column.key in values for values in rows.values())]
    return Table("scores", title, [*columns("row"), *shown], cells, caption, notes=notes)


def measured(study: str, runs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Metrics of runs of a study, name in print -> run, as far as they are measured."""
    files = {name: metrics_file(study, run) for name, run in runs.items()}
    return {name: read_json(file) for name, file in files.items() if file.exists()}


def metrics_file(study: str, run: str) -> Path:
    """Of the profile in use."""
    return results_folder(Path()) / "metrics" / study / f"{run}.json"

"""A run's folder in MLflow's terms: status, parameters, tags, curves, final values, images, texts."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modescope.dotted import dotted, numbers
from modescope.files import as_written
from modescope.mlflow.run_page import describe
from modescope.runs.folder import DIFF_FILE, RUN_FILE, TRACEBACK_FILE, Rows, image_files, read_rows, read_run

TEXTS = (TRACEBACK_FILE, DIFF_FILE)
FACTS = ("key", "stage", "study", "run", "model", "device", "precision", "weights_sha256", "collapsed_at_step", "error")
PASSING = ("error", "dvc.exp", "dvc.baseline", "changes")  # tags that a run loses when they hold no longer


@dataclass(frozen=True)
class Record:
    """All that is known of a run.

    Attributes:
        run: its name in files.
        name: the one to show, with the DVC experiment that trained it.
        status: RUNNING, FINISHED, FAILED or KILLED.
        started, ended: seconds since 1970; ended is now for a running one.
        params, tags: by name.
        dataset: its name with the split, its digest.
        num_images: in the data set, if known.
        curves: metric -> (step, value), steps ascending.
        finals: metric -> value, under `final/`.
        images: (name, step) -> PNG file.
        texts: files worth keeping.
    """

    key: str
    study: str
    run: str
    name: str
    status: str
    started: float
    ended: float
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: tuple[str, str]
    num_images: int | None
    curves: Mapping[str, list[tuple[int, float]]]
    finals: Mapping[str, float]
    images: Mapping[tuple[str, int], Path]
    texts: list[Path]


def read_record(folder: Path, metrics: Mapping[str, Any] | None = None) -> Record:
    """Read a run's folder; `metrics` is the content of its metrics file.

    Raises:
        UserError: run.json is missing or broken.
    """
    with as_written(folder / RUN_FILE):
        return _record(folder, read_run(folder), metrics or {})


def _record(folder: Path, info: Mapping[str, Any], metrics: Mapping[str, Any]) -> Record:
    started = datetime.fromisoformat(info["started"]).timestamp()
    running = info["status"] == "running"
    return Record(
        key=info["key"],
        study=info["study"],
        run=info["run"],
        name=_shown_name(info),
        status=info["status"].upper(),  # as MLflow has it
        started=started,
        ended=time.time() if running else _ended(info, started),
        params={
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in dotted(info["params"]).items()
        },
        tags=_tags(info) | {"mlflow.note.content": describe(info, (folder / DIFF_FILE).exists())},
        dataset=(" ".join(filter(None, (info["data"]["name"], info["data"].get("split")))), info["data"]["digest"]),
        num_images=info["data"].get("images"),
        curves=_curves(read_rows(folder)),
        finals={f"final/{name}": value for name, value in numbers(metrics, info["data"]["classes"]).items()},
        images={(file.parent.name, int(file.stem.removeprefix("step-"))): file for file in image_files(folder)},
        texts=[folder / name for name in TEXTS if (folder / name).exists()],
    )


def _ended(info: Mapping[str, Any], started: float) -> float:
    return datetime.fromisoformat(info["ended"]).timestamp() if "ended" in info else started + info.get("seconds", 0.0)


def _shown_name(info: Mapping[str, Any]) -> str:
    """`gan-split4 (puffy-ibex)` for a run that was trained in a DVC experiment, also where a cache brought it back."""
    experiment = info.get("origin", {}).get("dvc.exp")
    return f"{info['run']} ({experiment})" if experiment else info["run"]


def _tags(info: Mapping[str, Any]) -> dict[str, str]:
    """Facts that are not parameters; those for which MLflow has columns also under its names."""
    data, origin = info["data"], dict(info.get("origin", {}))
    tags = {name: info.get(name) for name in FACTS}
    tags |= {"dataset": data["name"], "data_digest": data["digest"], "split": data.get("split")}
    tags |= {f"version.{name}": version for name, version in info.get("versions", {}).items()}
    tags |= {
        "mlflow.user": origin.pop("user", None),
        "mlflow.source.name": info["stage"],
        "mlflow.source.type": "LOCAL",
    }
    tags |= {"mlflow.source.git.commit": origin.get("git.commit"), **origin}
    return {name: str(value) for name, value in tags.items() if value is not None}


def _curves(rows: Rows) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, values in rows.items():
        for name, value in values.items():
            curves.setdefault(name, []).append((step, value))
    return curves

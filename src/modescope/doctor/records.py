"""dvc.lock against what the runs themselves say."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from modescope.doctor.files import LOCK, is_whole
from modescope.doctor.finding import Finding
from modescope.dotted import dotted
from modescope.errors import UserError
from modescope.files import PARAMS, read_json
from modescope.runs.folder import RUN_FILE


def other_parameters(folder: Path) -> Iterator[Finding]:
    """Runs that were trained with other parameters than dvc.lock says: params.yaml changed at the last moment."""
    file = folder / LOCK
    if not (file.exists() and is_whole(file.read_text(encoding="utf-8", errors="replace"))):
        return
    for stage, entry in YAML(typ="safe").load(file)["stages"].items():
        recorded = dotted(entry.get("params", {}).get(str(PARAMS), {}))
        for out in entry.get("outs", []) if recorded else ():
            with suppress(UserError, FileNotFoundError):  # no run, or none that can be read
                run = read_json(folder / out["path"] / RUN_FILE, run=str, params=dict)
                for different in differences(recorded, run)[:1]:
                    what = f"{out['path']} was made with {different}: params.yaml changed at the last moment"
                    yield Finding(what, f"dvc repro --force --single-item {stage}")


def differences(recorded: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """`epochs 10, not 1 as in dvc.lock`, ... of a run's record, and what dvc.lock records by dotted name.

    Study 3's runs have their settings resolved: a row's own over its loss's, which may be null, over those of all.
    """
    used = dotted(run["params"])
    row, recipe = re.sub(r"-s\d+$", "", run["run"]), f"cgan.recipes.{used.get('loss')}."
    recorded = {name: value for name, value in recorded.items() if value is not None or not name.startswith(recipe)}
    for prefix in ("cgan.training.", recipe, f"cgan.ours.{row}.", "stacked.training."):
        recorded = {**recorded, **{n.removeprefix(prefix): v for n, v in recorded.items() if n.startswith(prefix)}}
    return [
        f"{name} {used[name]}, not {value} as {LOCK} says"
        for name, value in recorded.items()
        if name in used and used[name] != value
    ]

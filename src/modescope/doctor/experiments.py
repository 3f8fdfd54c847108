"""What dead experiments leave in .dvc/tmp: records that say `Running` for ever, workspaces and locks."""

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from modescope.doctor.finding import Finding, leftover
from modescope.files import write_json
from modescope.runs.git import own_environment

EXPERIMENTS = Path(".dvc/tmp/exps")
RECORDS, TEMPORARY_RECORDS = EXPERIMENTS / "run", EXPERIMENTS / "standalone" / "run"
PENDING, PREPARING, RUNNING, SUCCESS, FAILED = range(5)  # DVC's numbers
QUEUED = "dvc-task"
LOCKS = (Path(".dvc/tmp/rwlock"), EXPERIMENTS / "rwlock")


def dead_experiments(folder: Path) -> Iterator[Finding]:
    """Experiments without a process, which `dvc exp show` and `dvc queue status` show as running."""
    for file in sorted((folder / RECORDS).glob("*/*.run")):
        record = _read(file)
        process = _read(file.with_suffix(".json"))
        unfinished = record.get("status", FAILED) < SUCCESS and process.get("returncode") is None
        if record.get("location") == QUEUED and unfinished:
            name = record.get("name") or file.stem[:7]
            yield Finding(
                f"experiment `{name}` died with its queue worker",
                f"dvc queue kill {name}",
                partial(_fail, folder, file, name),
            )
    in_workspace = folder / RECORDS / "workspace" / "workspace.run"
    for file in [in_workspace, *sorted((folder / TEMPORARY_RECORDS).glob("*/*.run"))]:
        if file.exists() and _read(file).get("status", PENDING) <= SUCCESS:
            name = _read(file).get("name") or file.stem[:7]
            places = [place for place in {file.parent, folder / RECORDS / file.stem} if place.exists()]
            yield leftover(folder, f"the record of experiment `{name}`, which was killed, is left", *places)


def temporary_workspaces(folder: Path) -> Iterator[Finding]:
    """Folders of dead experiments. Their finished stages are in the cache, their checkpoints in .ckpt."""
    for place in sorted([*(folder / EXPERIMENTS).glob("tmp*"), *(folder / EXPERIMENTS / "standalone").glob("tmp*")]):
        if place.is_dir():
            yield leftover(folder, "the workspace of a killed experiment is left", place)


def read_write_locks(folder: Path) -> Iterator[Finding]:
    """What DVC's processes held when they were killed: none is at work here, or this would not be looked at."""
    for file in (folder / name for name in LOCKS):
        try:
            held = any(json.loads(file.read_text(encoding="utf-8")).values())
        except FileNotFoundError:
            continue
        except ValueError:  # it was cut off
            held = True
        if held:
            yield leftover(folder, f"{file.relative_to(folder)} has locks of DVC processes that are gone", file)


def _fail(folder: Path, file: Path, name: str) -> None:
    """Let DVC mark the task as failed; before that mark its process as ended, or DVC might signal another."""
    process = file.with_suffix(".json")
    if process.exists():
        write_json(process, {**_read(process), "returncode": -1})
    # DVC refuses where it has noticed the death already, so the exit code does not matter.
    subprocess.run(["dvc", "queue", "kill", name], cwd=folder, env=own_environment(), capture_output=True)
    write_json(file, {**_read(file), "status": FAILED})


def _read(file: Path) -> dict[str, Any]:
    """Content of a JSON file; nothing where it is missing or half written."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}

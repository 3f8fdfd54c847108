"""A run's folder: the names of its files, and its curves."""

import csv
import json
import operator
import re
import zipfile
from pathlib import Path
from typing import Any

from modescope.files import as_written, atomic_path, read_json

WORK_FOLDERS = ".ckpt"  # holds a folder for each run that is not finished, named after its key
RUN_FILE, LINES_FILE, CURVES_FILE, WEIGHTS_FILE = "run.json", "curves.jsonl", "curves.csv", "model.safetensors"
TRACEBACK_FILE, DIFF_FILE, CHECKPOINT_FILE = "traceback.txt", "code.diff", "checkpoint.pt"

FIELDS = {"key": str, "study": str, "run": str, "model": str, "status": str, "params": dict, "data": dict}
STATES = ("running", "finished", "failed", "killed")

Rows = dict[int, dict[str, float]]  # step -> metric -> value, steps ascending


def read_run(folder: Path) -> dict[str, Any]:
    """A run's record. Raises UserError for one that is missing or is not as a run writes it."""
    info = read_json(folder / RUN_FILE, **FIELDS)
    with as_written(folder / RUN_FILE):
        if info["status"] not in STATES:
            raise ValueError(f"unknown status {info['status']!r}")
        for name in (info["key"], info["study"], info["run"]):  # they become paths
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name, re.ASCII):
                raise ValueError(f"{name!r} is no name")
    return info


def image_files(folder: Path) -> list[Path]:
    """`NAME/step-000500.png`, in order."""
    return sorted(file for file in folder.glob("*/step-*.png") if re.fullmatch(r"step-\d{1,18}", file.stem, re.ASCII))


def check_parts(checkpoint: Path) -> None:
    """Hold every part of a file of torch.save against its checksum, which torch.load does not do.

    Raises zipfile.BadZipFile, or another error that zipfile has for a damaged file.
    """
    with zipfile.ZipFile(checkpoint) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged} has another checksum")


def read_rows(folder: Path) -> Rows:
    """A run's curves: from the lines of a run that is under way, else from its table; empty where there is neither."""
    if (folder / LINES_FILE).exists():
        return _read_lines(folder / LINES_FILE)
    if (folder / CURVES_FILE).exists():
        return _read_table(folder / CURVES_FILE)
    return {}


def _read_lines(path: Path) -> Rows:
    """Of two values for one step the later holds; what follows a line that was cut off by a kill does not count."""
    rows: Rows = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            step = operator.index(values.pop("step"))
            values = {name: float(value) for name, value in values.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
            break
        rows.setdefault(step, {}).update(values)
    return dict(sorted(rows.items()))


def _read_table(path: Path) -> Rows:
    with as_written(path), open(path, encoding="utf-8", newline="") as file:
        return {
            int(row.pop("step")): {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        }


def write_lines(path: Path, rows: Rows) -> None:
    """One JSON object a line, atomically."""
    with atomic_path(path) as temporary:
        lines = "".join(json.dumps({"step": step, **values}) + "\n" for step, values in rows.items())
        temporary.write_text(lines, encoding="utf-8")


def write_table(path: Path, rows: Rows) -> None:
    """CSV, floats exact: `step`, then every metric in order of appearance, blank where it has no value."""
    names = dict.fromkeys(name for values in rows.values() for name in values)
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["step", *names], lineterminator="\n")
        table.writeheader()
        table.writerows({"step": step, **values} for step, values in rows.items())

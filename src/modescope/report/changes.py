"""Scores before and after: of a commit or a DVC experiment and the files as they are, or of two runs."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from modescope.config import results_folder
from modescope.errors import UserError
from modescope.files import read_json
from modescope.report.tables import ABSENT, column
from modescope.runs.git import git

SCORES = (
    *("fid_classifier", "class_consistency", "guide_consistency", "class_share_tv", "recall"),
    *("kl_to_uniform", "modes_covered", "accuracy"),
)
FEW_SCORES, WIDTH = 3, 100  # of the table that ends a study's last stage; its characters where there is no terminal
TO = " → "
NOW = "now"

Scores = Mapping[str, Mapping[str, Any]]  # run -> metric -> value


def compare(one: str, other: str | None = None) -> list[str]:
    """The table of two runs, or of two commits or DVC experiments; without `other` of one and the files as they are.

    Raises:
        UserError: there is no such thing, or nothing was measured in it.
    """
    metrics = results_folder(Path()) / "metrics"
    now = measured(metrics)
    if other is not None and {one, other} <= now.keys():
        refuse_namesakes(metrics, one, other)
        row = f"{one}{TO}{other}"
        return table({row: now[one]}, {row: now[other]}, "run") or [f"{one} and {other} have the same scores"]
    sides = [committed(each, metrics) for each in (one, other) if each is not None] + ([] if other else [now])
    for name, found in zip((one, other or NOW), sides, strict=True):
        if not found:
            raise UserError(f"{name} has no numbers in {metrics}: `dvc repro` makes them, a commit keeps them")
    lines = table(*sides, f"{one}{TO}{other or NOW}")
    return lines or [f"no score differs between {one} and {other or NOW}"]


def refuse_namesakes(metrics: Path, *names: str) -> None:
    """Raises UserError for a name under which several studies have scores."""
    for name in names:
        studies = sorted(file.parent.name for file in metrics.rglob(f"{name}.json"))
        if len(studies) > 1:
            raise UserError(f"{name} has scores in {' and '.join(studies)}: score it under a name of its own in each")


def since_the_commit(metrics: Path, commit: str) -> list[str]:
    """What changed below `metrics` since a commit, in four lines under the command that shows all of it.

    Empty where the commit holds nothing of it, and outside git.
    """
    try:
        before = committed(commit, metrics)
    except (UserError, OSError):
        return []
    return short_table(before, measured(metrics), f"modescope compare {commit[:7]}") if before else []


def table(before: Scores, after: Scores, heading: str) -> list[str]:
    """Lines of a table of the runs and scores that differ as they are printed; none where nothing does."""
    return _aligned(_rows(before, after, heading))


def short_table(before: Scores, after: Scores, heading: str) -> list[str]:
    """The same with a column for each run: the first `FEW_SCORES` scores, and the runs that fit on the terminal."""
    columns = [row[: FEW_SCORES + 1] for row in _rows(before, after, heading)]
    widths, width = [max(map(len, column)) + 2 for column in columns], get_terminal_size((WIDTH, 0)).columns + 2
    if sum(widths) > width:
        shown = max(2, sum(end + len("and 99 more  ") <= width for end in accumulate(widths)))
        more = [f"and {len(columns) - shown} more", *[""] * (len(columns[0]) - 1)]
        columns = [*columns[:shown], more] if shown < len(columns) else columns
    return _aligned(list(zip(*columns, strict=True)))


def _rows(before: Scores, after: Scores, heading: str) -> list[list[str]]:
    """The titles, then a row for every run that differs; empty where none does."""
    cells = {run: _cells(before.get(run, {}), values) for run, values in after.items()}
    changed = {run: row for run, row in cells.items() if any(TO in cell for cell in row.values())}
    names = [name for name in SCORES if any(TO in row.get(name, "") for row in changed.values())]
    titles = [f"{column(name).title} {column(name).group}".strip() for name in names]
    rows = [[run, *(row.get(name, ABSENT) for name in names)] for run, row in changed.items()]
    return [[heading, *titles], *rows] if rows else []


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, texts)) for texts in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Score -> `83.100 → 84.200`, or the value alone where it is printed the same."""
    found = {}
    for name in SCORES:
        old, new = (column(name).cell(values) for values in (before, after))
        if name in before or name in after:
            found[name] = new if old == new else f"{old}{TO}{new}"
    return found


def measured(metrics: Path) -> Scores:
    """Run -> what was measured of it, of all files below a folder."""
    return {file.stem: read_json(file) for file in sorted(metrics.rglob("*.json"))}


def committed(name: str, metrics: Path) -> Scores:
    """The same of a commit or a DVC experiment. Raises UserError for an unknown one."""
    commit = _commit(name)
    try:
        files = git(Path(), "ls-tree", "-r", "--name-only", commit, "--", f"{metrics.as_posix()}/").split()
        texts = {Path(file).stem: git(Path(), "show", f"{commit}:./{file}") for file in files}
        return {run: json.loads(text) for run, text in texts.items()}
    except (subprocess.CalledProcessError, ValueError) as error:
        raise UserError(f"the numbers of {name} cannot be read ({error}): compare with another commit") from None


def _commit(name: str) -> str:
    """The hash of a commit by any of its names, or of a DVC experiment by its own."""
    try:
        experiments = git(Path(), "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
        found = [line.split()[0] for line in experiments if line.rpartition("/")[2] == name]
        return found[0] if found else git(Path(), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except (OSError, subprocess.CalledProcessError):
        advice = "`dvc exp list` and `git log` name those, `modescope sample` runs"
        raise UserError(f"`{name}` is neither a commit nor a DVC experiment, nor two runs: {advice}") from None

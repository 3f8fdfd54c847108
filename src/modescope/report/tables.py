"""A table is written once and printed three ways: Markdown, CSV and (by the page's template) HTML."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Self

import yaml

from modescope.report.wording import decimals

Value = str | int | float | None
ABSENT = "–"
SETTING, REPORTED = "setting", "reported"  # groups of columns, the latter before the extractor's name
NAMES = ("row", "model", "run", "loss", "images", "metric")  # columns that name what a row shows
LONG = 40  # characters, of a cell that is broken into lines
BEST = {"↓": min, "↑": max}  # by the sign in a column's heading
COLLAPSED = " †"  # after the name of a row whose samples became one image while it was trained


@dataclass(frozen=True)
class Column:
    """One column. `key` finds the value in a row and heads the CSV; `title` and `group` head the printed table.

    `digits` are the decimals printed, of four digits at most; `scale` multiplies what is printed (100
    for percent) and `spread` names the row's value printed after ±. The CSV holds unscaled values with six significant
    digits.
    """

    key: str
    title: str
    group: str = ""
    digits: int = 2
    scale: float = 1.0
    spread: str | None = None

    def cell(self, row: Mapping[str, Value]) -> str:
        """What is printed for `row`; a value that does not exist prints as a dash."""
        value, spread = row.get(self.key), self.spread and row.get(self.spread)
        if value is None:
            return ABSENT
        if isinstance(value, str):
            return value
        digits = decimals(value * self.scale, self.digits)
        text = f"{value:,}" if isinstance(value, int) else self._printed(value, digits)
        return text if spread is None else f"{text} ± {self._printed(spread, digits)}"

    def _printed(self, value: float, digits: int) -> str:
        return f"{round(value * self.scale, digits) + 0.0:,.{digits}f}"  # + 0.0: no -0.00


def column(key: str, /, **changes: Any) -> Column:
    """A column of columns.yaml, with `changes`."""
    return Column(**({"key": key} | _columns()[key] | changes))


def columns(*keys: str) -> tuple[Column, ...]:
    """Columns of columns.yaml."""
    return tuple(map(column, keys))


@cache
def _columns() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(Path(__file__).with_name("columns.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Table:
    """Rows under columns with a caption. `facts` (data set, extractor ...) end the caption and are columns of the CSV.

    A row may hold more than its columns: `run`, the names of the runs that it shows, with blanks between them; `quiet`,
    whether it is there for comparison; `collapsed`, the step of its collapse, which marks it. `notes` are warnings, a
    line each. Markdown has no headings above headings: with `spell_groups` a column's group follows its title there.
    A page shows a `folded` table on demand.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    caption: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    spell_groups: bool = True
    folded: bool = False

    @property
    def place(self) -> str:
        """Its anchor on a page."""
        return f"table-{self.name}"

    @property
    def for_page(self) -> Self:
        """With scores before reported ones and settings last, where a page shows them on demand."""
        order = {SETTING: 2, REPORTED: 1}
        return replace(self, columns=sorted(self.columns, key=lambda column: order.get(column.group.split(" ")[0], 0)))

    @property
    def names(self) -> int:
        """How many of its first columns say what a row is, two at most: they stay in view."""
        return 1 + any(column.key in NAMES and self.is_text(column) for column in self.columns[1:2])

    @property
    def settings(self) -> int:
        """How many of its columns are settings."""
        return sum(column.group == SETTING for column in self.columns)

    @property
    def classes(self) -> list[str]:
        """What a page's style has to know of every column, as class names."""
        found = []
        for at, column in enumerate(self.columns):
            names = {
                "text": self.is_text(column),
                "opens": at in self.group_starts,
                "setting": column.group == SETTING,
                "long": max((len(column.cell(row)) for row in self.rows), default=0) > LONG,
                "name": at < self.names,
                "second": 0 < at < self.names,
                "last": at == self.names - 1,
            }
            found.append(" ".join(name for name, holds in names.items() if holds))
        return found

    @property
    def quiet(self) -> frozenset[int]:
        """Indices of rows that are there for comparison: printed softer."""
        return frozenset(index for index, row in enumerate(self.rows) if row.get("quiet"))

    @property
    def caption_line(self) -> str:
        """The caption followed by every fact, as one line."""
        facts = "; ".join(f"{name}: {value}" for name, value in self.facts.items())
        return " ".join(part for part in (self.caption, f"{facts}." if facts else "") if part)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings above the columns with the number of columns that each spans."""
        return [(group, len([*columns])) for group, columns in groupby(column.group for column in self.columns)]

    @property
    def group_starts(self) -> frozenset[int]:
        """Indices of the columns that open a group or follow one."""
        return _changes([column.group for column in self.columns])

    def is_text(self, column: Column) -> bool:
        """Whether the column holds words: aligned left."""
        return isinstance(next((row[column.key] for row in self.rows if row.get(column.key) is not None), None), str)

    @property
    def cells(self) -> list[list[str]]:
        """All rows as printed, with a mark after the name of a collapsed one."""
        printed = [[column.cell(row) for column in self.columns] for row in self.rows]
        name = next((at for at, column in enumerate(self.columns) if column.key in NAMES), 0)
        for row, line in zip(self.rows, printed, strict=True):
            line[name] += COLLAPSED if row.get("collapsed") else ""
        return printed

    @property
    def block_starts(self) -> frozenset[int]:
        """Indices of rows whose first cell differs from the row above: where a new block begins."""
        return _changes([cells[0] for cells in self.cells])


def _changes(values: Sequence[str]) -> frozenset[int]:
    """Indices of the values that differ from the one before."""
    return frozenset(index for index, (before, value) in enumerate(pairwise(values), 1) if value != before)


def to_markdown(table: Table) -> str:
    """GitHub's Markdown: title, table, caption line, notes."""
    titles = [
        f"{column.title}, {column.group}" if table.spell_groups and column.group else column.title
        for column in table.columns
    ]
    aligned = [":--" if table.is_text(column) else "--:" for column in table.columns]
    lines = [titles, aligned]
    for index, cells in enumerate(table.cells):
        lines.append([f"*{cell}*" for cell in cells] if index in table.quiet else cells)
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    notes = "".join(f"\n> {note}\n" for note in table.notes)
    return f"**{table.title}**\n\n{body}\n\n{table.caption_line}\n{notes}"


def to_csv(table: Table) -> str:
    """One header of keys, spreads after their means, then facts and runs; floats with six significant digits."""
    keys = [key for column in table.columns for key in (column.key, column.spread) if key]
    runs = ["run"] if "run" not in keys and any("run" in row for row in table.rows) else []
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([*keys, *(name.replace(" ", "_") for name in table.facts), *runs])
    for row in table.rows:
        plain = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
        writer.writerow([*map(plain.get, keys), *table.facts.values(), *map(plain.get, runs)])
    return lines.getvalue()


def best_scores(table: Table) -> dict[str, float]:
    """The best of each column of scores, real images left out, by a short name: a study's numbers in `dvc exp show`."""
    found = {}
    for column in table.columns:
        best = next((best for sign, best in BEST.items() if sign in f"{column.title} {column.group}"), None)
        values = [row[column.key] for row in table.rows if row.get(column.key) is not None and not row.get("quiet")]
        if best and values:
            found[re.sub(r"_classifier$|^class_|_after$", "", column.key).replace("/", "_")] = best(values)
    return found

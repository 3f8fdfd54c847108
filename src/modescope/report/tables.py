"""A table is written once and printed three ways: Markdown, CSV and (by the page's template) HTML."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

Value = str | int | float | None
ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """One column. `key` finds the value in a row and heads the CSV; `title` and `group` head the printed table.

    `digits` are the decimals printed, `scale` multiplies what is printed (100 for percent) and `spread` names the row's
    value printed after ±. The CSV holds unscaled values with six significant digits.
    """

    key: str
    title: str
    group: str = ""
    digits: int = 2
    scale: float = 1.0
    spread: str | None = None

    def cell(self, row: Mapping[str, Value]) -> str:
        """What is printed for `row`; a value that does not exist prints as a dash."""
        text = self._printed(row.get(self.key))
        if self.spread is None or row.get(self.spread) is None:
            return text
        return f"{text} ± {self._printed(row[self.spread])}"

    def _printed(self, value: Value) -> str:
        if value is None:
            return ABSENT
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return f"{value:,}"
        return f"{round(value * self.scale, self.digits) + 0.0:,.{self.digits}f}"  # + 0.0: no -0.00


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

    A row may hold more than its columns: `run`, the names of the runs that it shows, with blanks between them, and
    `quiet`, whether it is there for comparison. `notes` are warnings, a line each. Markdown has no headings above
    headings: with `spell_groups` a column's group follows its title there.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    caption: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    spell_groups: bool = True

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
        return [
            (group, len(list(columns))) for group, columns in groupby(self.columns, key=lambda column: column.group)
        ]

    @property
    def group_starts(self) -> frozenset[int]:
        """Indices of the columns that open a group or follow one."""
        groups = [column.group for column in self.columns]
        return frozenset(index for index in range(1, len(groups)) if groups[index] != groups[index - 1])

    def is_text(self, column: Column) -> bool:
        """Whether the column holds words: aligned left."""
        return isinstance(next((row[column.key] for row in self.rows if row.get(column.key) is not None), None), str)

    @property
    def cells(self) -> list[list[str]]:
        """All rows as printed."""
        return [[column.cell(row) for column in self.columns] for row in self.rows]

    @property
    def block_starts(self) -> frozenset[int]:
        """Indices of rows whose first cell differs from the row above: where a new block begins."""
        first = [cells[0] for cells in self.cells]
        return frozenset(index for index in range(1, len(first)) if first[index] != first[index - 1])


def to_markdown(table: Table) -> str:
    """GitHub's Markdown: title, table, caption line, notes."""
    spelt = [table.spell_groups and column.group for column in table.columns]
    titles = [
        f"{column.title}, {group}" if group else column.title
        for column, group in zip(table.columns, spelt, strict=True)
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
    keys: list[str] = []
    for column in table.columns:
        keys += [column.key] if column.spread is None else [column.key, column.spread]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    runs = ["run"] if "run" not in keys and any("run" in row for row in table.rows) else []
    writer.writerow([*keys, *(name.replace(" ", "_") for name in table.facts), *runs])
    for row in table.rows:
        writer.writerow(
            [*(_plain(row.get(key)) for key in keys), *table.facts.values(), *(row.get(key) for key in runs)]
        )
    return lines.getvalue()


def _plain(value: Value) -> str | int:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value

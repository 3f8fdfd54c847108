"""What is said of a study's tables and figures, a table's fixed columns, and its findings: its texts.yaml, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modescope.report import figures, vector
from modescope.report.figures import WIDTH, Picture
from modescope.report.page import Finding
from modescope.report.tables import Column, Table, Value, column


class Text(NamedTuple):
    """What is said of a table or a figure. `alt` says what a figure shows to those who cannot see it.

    A page shows what is `folded` on demand.
    """

    name: str
    title: str = ""
    caption: str = ""
    alt: str = ""
    columns: tuple[Column, ...] = ()
    spell_groups: bool = True
    folded: bool = False

    def table(
        self,
        rows: Sequence[Mapping[str, Value]],
        facts: Mapping[str, str],
        more: Sequence[Column] = (),
        notes: Sequence[str] = (),
    ) -> Table:
        """The table of it: its columns, then `more`. Inception's columns, reported or not, need a row that has them."""
        shown = [
            column
            for column in (*self.columns, *more)
            if "Inception" not in column.group or any(row.get(column.key) is not None for row in rows)
        ]
        return Table(self.name, self.title, shown, rows, self.caption, facts, notes, self.spell_groups, self.folded)

    def chart(self, draw: Callable[[Figure], None], height: float) -> Picture:
        """A figure WIDTH x height inches large, drawn by `draw`."""
        size = WIDTH, height
        svg, pdf = vector.to_svg(draw, *size, figures.STYLE), partial(vector.to_pdf, draw, *size, figures.STYLE)
        return replace(self.picture(figures.render(draw, *size)), svg=svg, pdf=pdf)

    def sheet(self, cells: Mapping[str, Sequence[NDArray[np.uint8] | None]], columns: Sequence[str]) -> Picture:
        """Images in rows by label, see `image_sheet`."""
        return self.picture(figures.image_sheet(list(cells.values()), list(cells), columns))

    def picture(self, png: bytes) -> Picture:
        """The figure of it."""
        return Picture(self.name, self.title, self.caption, self.alt, png, self.folded)


class Texts:
    """The texts of a study's folder. `texts("confusion", chance=0.1)` fills `{chance:.0%}` in what is said of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "texts.yaml"

    def __call__(self, name: str, **values: object) -> Text:
        entry = dict(_read(self.file)[name])
        columns = [column(key, **(changes or {})) for key, changes in entry.pop("columns", {}).items()]
        shown = tuple(replace(column, title=column.title.format(**values)) for column in columns)
        flags = {flag: entry.pop(flag) for flag in ("spell_groups", "folded") if flag in entry}
        said = {part: text.format(**values).strip() for part, text in entry.items()}
        return Text(name, **said, columns=shown, **flags)

    def finding(self, name: str, **values: object) -> Finding:
        """A finding: its sentences are filled as a caption is."""
        return Finding(**{part: text.format(**values) for part, text in _read(self.file)["findings"][name].items()})


@cache
def _read(file: Path) -> Mapping[str, Mapping[str, Any]]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


SHARED = Texts(Path(__file__).parent)  # what all studies say

"""Titles, captions and alternative texts of a study's tables and figures: its texts.yaml, by their names."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modescope.report import figures
from modescope.report.figures import WIDTH, Picture
from modescope.report.tables import Column, Table, Value


class Text(NamedTuple):
    """What is said of a table or a figure. `alt` says what a figure shows to those who cannot see it."""

    name: str
    title: str = ""
    caption: str = ""
    alt: str = ""

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Mapping[str, Value]],
        facts: Mapping[str, str],
        notes: Sequence[str] = (),
        spell_groups: bool = True,
    ) -> Table:
        """The table of it."""
        return Table(self.name, self.title, columns, rows, self.caption, facts, notes, spell_groups)

    def chart(self, draw: Callable[[Figure], None], height: float) -> Picture:
        """A figure WIDTH x height inches large, drawn by `draw`."""
        return Picture(*self, figures.render(draw, WIDTH, height))

    def sheet(self, cells: Mapping[str, Sequence[NDArray[np.uint8]]], columns: Sequence[str]) -> Picture:
        """Images in rows by label, see `image_sheet`."""
        return Picture(*self, figures.image_sheet(list(cells.values()), list(cells), columns))


class Texts:
    """The texts of a study's folder. `texts("confusion", chance=0.1)` fills `{chance:.0%}` in what is said of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "texts.yaml"

    def __call__(self, name: str, **values: object) -> Text:
        return Text(name, **{part: text.format(**values).strip() for part, text in _read(self.file)[name].items()})


@cache
def _read(file: Path) -> Mapping[str, Mapping[str, str]]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


SHARED = Texts(Path(__file__).parent)  # what all studies say

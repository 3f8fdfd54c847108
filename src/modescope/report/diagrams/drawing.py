"""Lines of boxes and arrows, packed by matplotlib as a browser packs words."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, OffsetBox, PaddedBox, TextArea, VPacker

from modescope.report.figures import DPI, INK, SOFT_INK, render

TEXT, SMALL, HEAD = 7.5, 7.0, 9.0  # points
MARGIN = 12  # points


class Kind(NamedTuple):
    """How a box looks. Colours are Okabe and Ito's, and light shades of them."""

    label: str
    fill: str
    edge: str


TRAINED, FROZEN = Kind("trained", "#fdeadd", "#d55e00"), Kind("frozen", "#e0eff9", "#0072b2")
PLAIN = Kind("no parameters", "#ffffff", SOFT_INK)


def text(line: str, points: float = TEXT, colour: str = INK, bold: bool = False) -> TextArea:
    """One line of text."""
    return TextArea(line, textprops={"size": points, "color": colour, "weight": "bold" if bold else "normal"})


def box(lines: Sequence[str], kind: Kind, soft: str = "") -> OffsetBox:
    """A box with centred lines of text, the last of which may be a soft one."""
    rows = [*map(text, lines), *([text(soft, SMALL, SOFT_INK)] if soft else [])]
    frame = {"facecolor": kind.fill, "edgecolor": kind.edge, "boxstyle": "round,pad=0,rounding_size=4"}
    return PaddedBox(below(rows, 3, "center"), pad=6, draw_frame=True, patch_attrs=frame)


def arrow(passing: str = "") -> OffsetBox:
    """An arrow with what passes above it."""
    return below([text(passing, SMALL, SOFT_INK), text("⟶", 11, SOFT_INK), text("", SMALL)], 0, "center")


def beside(parts: Sequence[OffsetBox]) -> OffsetBox:
    """Parts from left to right, on one middle line."""
    return HPacker(children=list(parts), pad=0, sep=5, align="center")


def below(parts: Sequence[OffsetBox], apart: float = 10, align: str = "left") -> OffsetBox:
    """Parts from top to bottom, so many points apart."""
    return VPacker(children=list(parts), pad=0, sep=apart, align=align)


def png(build: Callable[[], Sequence[OffsetBox]]) -> bytes:
    """What `build` gives, below each other on a page that is as large as it is, over a legend of the boxes' kinds."""

    def page() -> OffsetBox:
        legend = beside([box([kind.label], kind) for kind in (TRAINED, FROZEN, PLAIN)])
        return below([*build(), legend], 16)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.add_artist(AnchoredOffsetbox("center", child=page(), frameon=False, pad=0, borderpad=0))

    paper, draft = Figure(dpi=DPI), page()
    draft.set_figure(paper)
    sides = draft.get_bbox(FigureCanvasAgg(paper).get_renderer()).size
    return render(draw, *(side / DPI + 2 * MARGIN / 72 for side in sides))

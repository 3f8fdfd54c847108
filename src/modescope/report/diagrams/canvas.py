"""Boxes, arrows and texts of a diagram. Lengths are inches, y grows downwards; the middle of a box's left edge is its
place.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.textpath import TextPath

from modescope.report.diagrams.blocks import Block
from modescope.report.figures import INK, SOFT_INK, STYLE, render

TEXT, SMALL, HEAD = 7.5, 7.0, 9.0  # points
LINE, PAD, MARGIN = 0.145, 0.09, 0.15
HEADING = 0.38  # above a row's boxes
HALF_LETTER = 0.365 / 72  # of a capital's height, per point
Point = tuple[float, float]


class Kind(NamedTuple):
    """How a box looks. Colours are Okabe and Ito's, and light shades of them."""

    label: str
    fill: str
    edge: str


TRAINED = Kind("trained", "#fdeadd", "#d55e00")
FROZEN = Kind("frozen", "#e0eff9", "#0072b2")
PLAIN = Kind("no parameters", "#ffffff", SOFT_INK)
GROUP = Kind("a group of boxes", "#f6f8fa", "#c4ccd4")


def kind(blocks: Sequence[Block]) -> Kind:
    """Trained where any parameter is."""
    if any(block.trainable for block in blocks):
        return TRAINED
    return FROZEN if any(block.parameters for block in blocks) else PLAIN


def shape_text(shape: Sequence[int]) -> str:
    """256×8×8; a scalar is 1."""
    return "×".join(map(str, shape)) or "1"


def png(fill: Callable[[Axes], None], kinds: Iterable[Kind], width: float, height: float) -> bytes:
    """What `fill` draws, and a legend of `kinds` beside the first heading, as PNG."""
    used = [one for one in (TRAINED, FROZEN, PLAIN) if one in set(kinds)]

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        fill(axes)
        handles = [Patch(facecolor=one.fill, edgecolor=one.edge, label=one.label) for one in used]
        corner = (1 - MARGIN / width, 1 - HEADING / 2 / height)
        figure.legend(
            handles=handles,
            loc="center right",
            bbox_to_anchor=corner,
            ncols=len(used),
            fontsize=TEXT,
            borderpad=0,
            borderaxespad=0,
        )

    return render(draw, width, height)


def text_width(text: str, points: float = TEXT, bold: bool = False) -> float:
    """Of the widest line."""
    font = FontProperties(family=STYLE["font.family"], weight="bold" if bold else "normal")
    return max(
        TextPath((0, 0), line, size=points, prop=font).get_extents().x1 / 72 for line in text.split("\n") if line
    )


def label(
    axes: Axes,
    place: Point,
    text: str,
    points: float = TEXT,
    align: str = "center",
    colour: str = INK,
    bold: bool = False,
) -> None:
    """One line of text. `place` is half a capital's height above its baseline, so that neighbours of any letters stand
    level.
    """
    x, y = place
    weight = "bold" if bold else "normal"
    axes.text(x, y + points * HALF_LETTER, text, fontsize=points, ha=align, va="baseline", color=colour, weight=weight)


def box(axes: Axes, place: Point, size: Point, look: Kind, text: str = "", soft: str = "") -> None:
    """A box with centred lines of text, the last of which may be a soft one."""
    (left, middle), (width, height) = place, size
    corner = (left, middle - height / 2)
    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=look.fill, edgecolor=look.edge, linewidth=1)
    )
    lines = [(line, TEXT, INK) for line in text.split("\n") if line] + ([(soft, SMALL, SOFT_INK)] if soft else [])
    for index, (line, points, colour) in enumerate(lines):
        label(axes, (left + width / 2, middle + (index - (len(lines) - 1) / 2) * LINE), line, points, colour=colour)


def arrow(axes: Axes, start: Point, end: Point) -> None:
    """From start to end."""
    look = {
        "arrowstyle": "-|>,head_length=0.35,head_width=0.16",
        "color": SOFT_INK,
        "linewidth": 1,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", xy=end, xytext=start, arrowprops=look | {"mutation_scale": 12})


def line(axes: Axes, *points: Point, dashed: bool = False) -> None:
    """Through the points, without an arrowhead."""
    style = (0, (3, 2)) if dashed else "-"
    axes.plot(*zip(*points, strict=True), color=SOFT_INK, linewidth=1, linestyle=style, solid_capstyle="projecting")


def on_arrow(axes: Axes, place: Point, above: str, below: str = "") -> None:
    """The name and the shape of what passes at `place`."""
    x, y = place
    label(axes, (x, y - 0.095), above, SMALL)
    label(axes, (x, y + 0.105), below, SMALL, colour=SOFT_INK)

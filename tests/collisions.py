"""Which texts of a drawn figure lie on each other, or leave it."""

from collections.abc import Iterator
from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SLACK = 1.5  # pixels


def collisions(figure: Figure) -> list[str]:
    """One line for every pair of upright texts that overlap, and for every text beyond the edge.

    The figure was drawn: a second time, without its style, its ticks would have other sizes.
    """
    undrawn = set(_undrawn(figure))
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text not in undrawn]
    # An annotation's own extent includes its line; of a slanted text the box says little.
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts if text.get_rotation() % 90 == 0]
    boxes = [(text, box) for text, box in boxes if text.strip()]
    beyond = [f"{text} leaves the figure" for text, box in boxes if not _inside(box, figure.bbox)]
    pairs = combinations(boxes, 2)
    return [f"{one} lies on {other}" for (one, box), (other, around) in pairs if _overlap(box, around)] + beyond


def _inside(box: Bbox, page: Bbox) -> bool:
    return box.x0 > -SLACK and box.y0 > -SLACK and box.x1 < page.width + SLACK and box.y1 < page.height + SLACK


def _overlap(one: Bbox, other: Bbox) -> bool:
    wide, high = (min(one.max[i], other.max[i]) - max(one.min[i], other.min[i]) for i in (0, 1))
    return wide > SLACK and high > SLACK


def _undrawn(figure: Figure) -> Iterator[Text]:
    """Labels of ticks beyond the axes, and all but an axes' own texts where axes are off."""
    for axes in figure.axes:
        if not axes.axison:
            yield from set(axes.findobj(Text)) - {*axes.texts, axes.title}
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-6 * (high - low) <= tick.get_loc() <= high + 1e-6 * (high - low):
                    yield from (tick.label1, tick.label2)

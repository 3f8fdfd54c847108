"""The figures' common pieces: one style, PNG bytes without dates, panels that any study can fill."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations, product
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib
import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path as Segment
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from PIL import Image

from modescope.report.vector import inline, name_legend, name_series

STYLE = yaml.safe_load(Path(__file__).with_name("style.yaml").read_text(encoding="utf-8"))
INK, SOFT_INK, SHADE = STYLE["text.color"], STYLE["axes.edgecolor"], "#d8dde3"
DPI, WIDTH = 160, 9.0  # dots per inch; inches
LARGE = 400_000  # bytes of a PNG: with a higher limit a page would have more than 5 MB
PNG_LEVEL = 7  # of zlib: 9, with `optimize`, takes six times as long for files 0.8 % smaller
NEAR = 7  # points between a point and a name that needs no line
MOST_TRIES = 6  # to find places for all names
DECADES = 30  # the largest over the smallest value from which on an axis is logarithmic


@dataclass(frozen=True)
class Look:
    """How one thing (a model, the floor, a reported value) looks in every figure. Colours are Okabe and Ito's."""

    label: str
    colour: str
    marker: str = "o"
    line: str = "-"


FLOOR = Look("real images (floor)", "#8c959f", "D", ":")


@dataclass(frozen=True)
class Series:
    """Points of one look: x, y and, where there is one, the spread of y (None for none)."""

    look: Look
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float | None]
    connected: Sequence[bool]


@dataclass(frozen=True)
class Picture:
    """A figure as PNG bytes, a chart also as `svg` and, when called, `pdf`.

    `alt` says what it shows to those who cannot see it.

    A page shows a `folded` one on demand.
    """

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    folded: bool = False
    svg: str = ""
    pdf: Callable[[], bytes] | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """Its anchor on a page."""
        return f"figure-{self.name}"

    @property
    def address(self) -> str:
        """Its file, beside the page."""
        return f"figures/{self.name}.png"

    @property
    def vector_address(self) -> str:
        """The chart's other file."""
        return f"vector/{self.name}.svg"

    @property
    def inline(self) -> str:
        """The chart as an element of a page."""
        return inline(self.svg, self.name, self.alt)

    @property
    def data_uri(self) -> str:
        """For an `img` element. A large sheet has 256 colours there and all in its file: a page stays small."""
        png = self.png if len(self.png) <= LARGE else _with_palette(self.png)
        return "data:image/png;base64," + base64.b64encode(png).decode()


def _with_palette(png: bytes) -> bytes:
    """A PNG with its 256 colours that stand for all best, not dithered."""
    with Image.open(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small = io.BytesIO()
    few.save(small, format="png", compress_level=PNG_LEVEL)
    return small.getvalue()


def render(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """A drawing of width x height inches in the common style, as PNG. The same drawing gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
    opaque = np.asarray(canvas.buffer_rgba())[..., :3]
    picture = io.BytesIO()
    Image.fromarray(opaque).save(picture, format="png", compress_level=PNG_LEVEL)
    return picture.getvalue()


def log_where_decades(axes: Axes, values: Sequence[float], axis: Literal["x", "y"] = "y") -> bool:
    """Make an axis logarithmic where positive values span decades, and return whether they do."""
    spans = min(values) > 0 and max(values) > DECADES * min(values)
    if spans:
        axes.set(**{f"{axis}scale": "log"})
        getattr(axes, f"{axis}axis").set_major_formatter("{x:g}")
        getattr(axes, f"{axis}axis").set_minor_formatter("")
    return spans


def legend_above(figure: Figure, looks: Sequence[Look], target: str | None = None) -> None:
    """One legend for the whole figure, above its panels: of lines, or of bars before the wide bars of `target`."""
    if target is None:
        handles = [Line2D([], [], label=of.label, color=of.colour, marker=of.marker, linestyle=of.line) for of in looks]
    else:
        bars = [Patch(facecolor=look.colour, label=look.label) for look in looks]
        handles = [Patch(facecolor=SHADE, edgecolor=INK, label=target), *bars]
    lines = 1 + sum(len(handle.get_label()) for handle in handles) // 100  # so many letters fit beside each other
    place = {"loc": "outside upper left", "columnspacing": 1.6, "handlelength": 1.6}
    legend = figure.legend(handles=handles, ncols=-(-len(handles) // lines), **place)
    for artist in (*legend.legend_handles, *legend.get_texts()):
        name_legend(artist, artist.get_label() if artist in legend.legend_handles else artist.get_text())


def points_against(axes: Axes, series: Sequence[Series], ticks: Mapping[float, str], ylabel: str, xlabel: str) -> None:
    """Points with error bars against x. A line joins those that are `connected`; the others stand alone, hollow.

    Args:
        ticks: x position -> label below it.
    """
    for line in series:
        look = line.look
        joined = sorted((x, y) for x, y, connected in zip(line.x, line.y, line.connected, strict=True) if connected)
        (drawn,) = axes.plot([x for x, _ in joined], [y for _, y in joined], color=look.colour, linestyle=look.line)
        name_series(drawn, look.label, look.label)
        for x, y, spread, connected in zip(line.x, line.y, line.spread, line.connected, strict=True):
            face = look.colour if connected else "white"
            marks = {"marker": look.marker, "markersize": 6, "markerfacecolor": face, "capsize": 2.5}
            point = axes.errorbar(x, y, yerr=spread, color=look.colour, **marks)
            for artist in point.get_children():
                name_series(artist, look.label, f"{look.label}, {' '.join(ticks[x].split())}: {y:.4g}")
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=8)
    highest = max(y + (spread or 0) for line in series for y, spread in zip(line.y, line.spread, strict=True))
    if not log_where_decades(axes, [y for line in series if line.look != FLOOR for y in line.y]):
        axes.set_ylim(0, 1.08 * highest)
    axes.margins(x=0.06)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)


def bars_on_target(
    axes: Axes, groups: Sequence[str], target: Sequence[float], series: Mapping[Look, Sequence[float]]
) -> None:
    """Narrow bars of every series before one wide bar per group: the value they should have."""
    places = np.arange(len(groups))
    axes.bar(places, target, width=0.92, color=SHADE)
    axes.hlines(target, places - 0.46, places + 0.46, color=INK, linewidth=1.6, zorder=3)
    width = 0.8 / max(1, len(series))
    for index, (look, values) in enumerate(series.items()):
        bars = axes.bar(places - 0.4 + (index + 0.5) * width, values, width=width * 0.9, color=look.colour, zorder=2)
        for bar, group, value in zip(bars, groups, values, strict=True):
            name_series(bar, look.label, f"{look.label}, {group}: {value:.3g}")
    axes.set_xticks(places, groups, fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.margins(x=0.02)


def label_points(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """A name beside each point that has one, which hides neither a point nor a name; a line leads to one that is far.

    Where there is room, no line crosses a name. Call it last: it reads the layout of everything else.
    """
    axes.figure.draw_without_rendering()
    pixels, scale = axes.transData.transform(points), axes.figure.dpi / 72
    marks = [Bbox.from_bounds(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale) for x, y in pixels]
    named = [(pixel, point, name) for pixel, point, name in zip(pixels, points, names, strict=True) if name]
    line = {"arrowstyle": "-", "color": SOFT_INK, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4}
    style = {"textcoords": "offset points", "fontsize": 7.5, "ha": "center", "va": "center", "arrowprops": line}
    style["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    labels = [axes.annotate(name, point, (0, 0), **style) for _, point, name in named]
    every = [
        [one for one in _places(pixel, np.array(label.get_window_extent().size), scale) if one.is_inside(axes.bbox)]
        for (pixel, *_), label in zip(named, labels, strict=True)
    ]
    order, tries = sorted(range(len(named)), key=lambda place: -named[place][0][1]), []
    while len(tries) < MOST_TRIES and (not tries or tries[-1][0]):
        places = _placed(every, marks, order)
        crossing = _crossing(places)
        tries.append((len(crossing), places))
        order = sorted(order, key=lambda name: name not in crossing)  # those that had no room come first
    for label, found in zip(labels, min(tries, key=itemgetter(0))[1], strict=True):
        label.set_position(np.divide(found.shift, scale))
        label.set_in_layout(False)
        label.arrow_patch.set_visible(bool(found.lead))


def _placed(every: Sequence[Sequence["_Place"]], marks: Sequence[Bbox], order: Iterable[int]) -> list["_Place"]:
    """One of `every` name's places, chosen in an order: the first that is free and crosses nothing, else a free one."""
    found: dict[int, _Place] = {}
    for name in order:
        taken = [one.box for one in found.values()]
        free = [one for one in every[name] if not one.box.count_overlaps([*marks, *taken])]
        leads = [lead for one in found.values() for lead in one.lead]
        alone = (one for one in free if not one.crosses(taken, leads))
        found[name] = next(alone, [*free, *every[name]][0])
    return [found[name] for name in range(len(every))]


def _crossing(places: Sequence["_Place"]) -> set[int]:
    """The names that lie on another one, or whose line does, and those on which they lie."""
    pairs = permutations(enumerate(places), 2)
    crossed = [(i, j) for (i, one), (j, other) in pairs if one.box.overlaps(other.box) or one.crosses([other.box], [])]
    return {name for pair in crossed for name in pair}


class _Place(NamedTuple):
    """Of a name: how far from its point, where, and the line that leads to it, if it is far. Pixels."""

    shift: NDArray[np.float64]
    box: Bbox
    lead: Sequence[Segment]

    def is_inside(self, frame: Bbox) -> bool:
        """Whether the name lies within the axes."""
        return frame.contains(*self.box.min) and frame.contains(*self.box.max)

    def crosses(self, boxes: Sequence[Bbox], leads: Sequence[Segment]) -> bool:
        """Whether its line lies over other names, or it lies over other lines."""
        pairs = [*product(self.lead, boxes), *product(leads, [self.box])]
        return any(line.intersects_bbox(box, filled=False) for line, box in pairs)


def _places(point: NDArray[np.float64], size: NDArray[np.float64], scale: float) -> Iterator[_Place]:
    """Places for a name of that size, the nearest first, those beside its point before those above and below."""
    turns = sorted(range(24), key=lambda turn: min(turn % 12, -turn % 12))
    for reach, turn in product((NEAR, 13, 20, 28, 38, 50, 64, 80, 100), turns):
        shift = (reach * scale + size / 2) * (np.cos(np.pi / 12 * turn), np.sin(np.pi / 12 * turn))
        box = Bbox([point + shift - size / 2, point + shift + size / 2])
        yield _Place(shift, box, [Segment([point, point + shift])] if reach > NEAR else [])


def image_sheet(
    cells: Sequence[Sequence[NDArray[np.uint8] | None]], rows: Sequence[str], columns: Sequence[str], scale: int = 2
) -> bytes:
    """Pictures (H, W) or (H, W, 3) uint8 of one size as a labelled sheet, `scale` times as large; None: empty."""
    gap, letter = 14, 13  # pixels, the latter for a letter of a title
    scale = max(scale, -(-(letter * max(map(len, columns)) - gap) // cells[0][0].shape[1]))  # room for titles
    cell_height, cell_width = (side * scale for side in cells[0][0].shape[:2])
    left, top = 30 + letter * max(map(len, rows)), 44 if any(columns) else 4
    width = left + len(cells[0]) * (cell_width + gap)
    height = top + len(cells) * (cell_height + gap)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("none")

        def write(x: float, y: float, text: str, align: str) -> None:
            figure.text(x / width, 1 - y / height, text, ha=align, va="center", weight="bold")

        for row, pictures in enumerate(cells):
            y = top + row * (cell_height + gap)
            write(left - 14, y + cell_height / 2, rows[row], "right")
            for column, picture in enumerate(pictures):
                x = left + column * (cell_width + gap)
                if row == 0:
                    write(x + cell_width / 2, top - 20, columns[column], "center")
                if picture is not None:
                    large = picture.repeat(scale, axis=0).repeat(scale, axis=1)
                    figure.figimage(large, x, height - y - cell_height, cmap="gray", vmin=0, vmax=255)

    return render(draw, width / DPI, height / DPI)

"""Charts as SVG whose parts have names, which answer to the mouse inside a page, and as PDF: both print at any size."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TypeVar

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

SERIES, LEGEND, BETWEEN = "series=", "legend=", "="  # what the ids of named artists begin with
Canvas = TypeVar("Canvas", FigureCanvasSVG, FigureCanvasPdf)
REFERENCE = r'(url\(|href=")#([\w.-]+)'  # to an id
SETTINGS = {"svg.hashsalt": "modescope", "svg.fonttype": "path", "pdf.fonttype": 42}  # 42: TrueType, as journals ask


def name_series(artist: Artist, look: str, name: str) -> None:
    """Let a page say `name` of an artist, and hide it with all others of its look."""
    artist.set_gid(f"{SERIES}{look}{BETWEEN}{name}")


def name_legend(artist: Artist, look: str) -> None:
    """Let a click on an artist hide everything of a look."""
    artist.set_gid(f"{LEGEND}{look}")


def to_svg(draw: Callable[[Figure], None], width: float, height: float, style: dict[str, object]) -> str:
    """A drawing of width x height inches as an `svg` element. The same drawing gives the same text.

    What `name_series` named is of class `series`, with its name as a title; what `name_legend` named of class `legend`;
    both have their look as `data-look`.
    """
    file = io.StringIO()
    with _drawn(draw, width, height, style, FigureCanvasSVG) as canvas:
        canvas.print_svg(file, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    return _without_unused_ids(_with_names(text[text.index("<svg") :]))


def to_pdf(draw: Callable[[Figure], None], width: float, height: float, style: dict[str, object]) -> bytes:
    """The same as a PDF file with its fonts inside."""
    file = io.BytesIO()
    with _drawn(draw, width, height, style, FigureCanvasPdf) as canvas:
        canvas.print_pdf(file, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return file.getvalue()


@contextmanager
def _drawn(
    draw: Callable[[Figure], None], width: float, height: float, style: dict[str, object], canvas: type[Canvas]
) -> Iterator[Canvas]:
    with matplotlib.rc_context({**style, **SETTINGS}):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        found = canvas(figure)
        draw(figure)
        yield found


def inline(svg: str, name: str, alt: str) -> str:
    """The element for a page that has others: its ids begin with `name`, and `alt` says what it shows."""
    own = re.sub(REFERENCE, rf"\1#{name}-\2", svg)
    own = re.sub(r'( id=")([\w.-]+)', rf"\1{name}-\2", own)
    return own.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)


def _with_names(svg: str) -> str:
    svg = re.sub(r"<g id='([^']*)'>", lambda found: f'<g id="{found[1].replace(chr(34), "&quot;")}">', svg)
    look = r'([^"=]*)'
    svg = re.sub(rf'<g id="{LEGEND}{look}">', r'<g class="legend" data-look="\1">', svg)
    named = r'<g class="series" data-look="\1"><title>\2</title>'
    return re.sub(rf'<g id="{SERIES}{look}{BETWEEN}([^"]*)">', named, svg)


def _without_unused_ids(svg: str) -> str:
    used = {found[1] for found in re.findall(REFERENCE, svg)}
    return re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)

"""Curves as SVG, which a page draws itself: in its colours, sharp at any size, a few kilobytes each."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 24  # margins
MOST_POINTS = 150  # of a line; each stands for the mean of its neighbours


class Line(NamedTuple):
    """y over x in a colour of CSS, in a band of `spread` to either side."""

    name: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float]


def sketch(lines: Sequence[Line]) -> Markup:
    """The chart; empty without lines."""
    lines = [_thinned(line) for line in lines]
    if not lines:
        return Markup()
    high_x = max(max(line.x) for line in lines) or 1
    low = min(y - s for line in lines for y, s in zip(line.y, line.spread, strict=True))
    high = max(y + s for line in lines for y, s in zip(line.y, line.spread, strict=True))
    span = (high - low) or 1.0

    def at(x: float, y: float) -> str:
        right, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return f"{LEFT + right * x / high_x:.1f},{TOP + down * (high - y) / span:.1f}"

    parts = [_axis(low, high, high_x)]
    for line in lines:
        points = list(zip(line.x, line.y, line.spread, strict=True))
        if any(line.spread):
            band = [at(x, y + s) for x, y, s in points] + [at(x, y - s) for x, y, s in reversed(points)]
            parts.append(f'<polygon points="{" ".join(band)}" fill="{line.colour}" opacity=".18"/>')
        path = " ".join(at(x, y) for x, y, _ in points)
        title = f"<title>{escape(line.name)}</title>"
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.5">{title}</polyline>'
        )
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>')


def _axis(low: float, high: float, high_x: float) -> str:
    """A frame, and the ends of both axes in numbers."""
    texts = [
        (LEFT - 4, TOP + 9, "end", f"{high:.3g}"),
        (LEFT - 4, HEIGHT - BOTTOM, "end", f"{low:.3g}"),
        (LEFT, HEIGHT - 8, "start", "0"),
        (WIDTH - RIGHT, HEIGHT - 8, "end", f"{high_x:,.0f}"),
    ]
    frame = (
        f'<path d="M{LEFT},{TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="currentColor" opacity=".4"/>'
    )
    return frame + "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="11" fill="currentColor">{text}</text>'
        for x, y, anchor, text in texts
    )


def _thinned(line: Line) -> Line:
    """With means over windows of equal length."""
    window = -(-len(line.x) // MOST_POINTS)

    def means(values: Sequence[float]) -> list[float]:
        parts = [values[start : start + window] for start in range(0, len(values), window)]
        return [sum(part) / len(part) for part in parts]

    return line._replace(x=means(line.x), y=means(line.y), spread=means(line.spread))

"""A chart of two lines, as an element of a page."""

from matplotlib.figure import Figure

from modescope.report.figures import STYLE, Look, legend_above
from modescope.report.vector import name_series, to_svg

RED, BLUE = Look('"red" & <co>', "#dd0000"), Look("blue", "#0000aa", "s")


def chart(figure: Figure) -> None:
    axes = figure.subplots()
    for look, height in ((RED, 1), (BLUE, 2)):
        (line,) = axes.plot([0, 1], [0, height], color=look.colour)
        name_series(line, look.label, f"run of {look.label}: {height}")
    legend_above(figure, [RED, BLUE])


SVG = to_svg(chart, 4, 3, STYLE)

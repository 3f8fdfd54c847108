"""Study 2's figures."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from modescope.pictures import mosaic
from modescope.report.claims import CONSISTENCY
from modescope.report.figures import INK, Look, Picture, label_points, legend_above, log_where_decades
from modescope.report.trainings import curve_grid, curve_panel, previews
from modescope.report.vector import name_series
from modescope.report.wording import span
from modescope.studies.two_stage.rows import ADVERSARIAL, CLASS, COSINE, LOOKS, STAGE1, TEXTS, WHOLE, Row, TwoStageRows

TILE_COLUMNS = 2  # of a class's images in a sheet
CHANCE = Look("chance", INK, "", "--")
DISCRIMINATOR, GENERATOR = Look("discriminator", "#56b4e9", ""), Look("generator: adversarial term", "#d55e00", "")
GUIDANCE = Look("generator: class term", "#009e73", "")
STAGE1_CURVES = {"train/d_loss": DISCRIMINATOR, "train/g_loss": GENERATOR}
STAGE2_CURVES = {"train/d_loss": DISCRIMINATOR, "train/g_adversarial": GENERATOR, "train/g_class": GUIDANCE}
PANELS = 4  # of curves, side by side
GRADIENTS = {
    ADVERSARIAL: Look("adversarial term", GENERATOR.colour, ""),
    CLASS: Look("class term", GUIDANCE.colour, ""),
    WHOLE: Look("their sum", INK, "", ":"),
}


def samples(results: TwoStageRows) -> Picture:
    """Figure 11: the last previews of stage 1 and of every architecture, sorted by intended class."""
    return _sheet(results, "figure11", results.representatives.values())


def best_rows(results: TwoStageRows) -> list[Picture]:
    """The same of the best rows that are no representatives, under their stages 1; none without such."""
    rows = [row for row in results.best if row not in results.representatives.values()]
    starts = [row for row in results.stage1_rows if row.name in {other.start for other in rows}]
    return [_sheet(results, "best_rows", [*starts, *rows])] if rows else []


def adapter_starts(results: TwoStageRows) -> list[Picture]:
    """Previews before stage 2's first step, of representatives and rows that start otherwise; none without adapters."""
    chosen, usual = results.representatives, results.params.adapter_start
    adapted = [row for row in results.stage2_rows if row.stage2.has_adapters]
    adapted = [row for row in adapted if row in chosen.values() or row.stage2.adapter_start != usual]
    if not adapted:
        return []
    rows = {chosen[STAGE1].title: _by_class(results, chosen[STAGE1])}
    rows |= {row.title: _by_class(results, row, step=0) for row in adapted}
    return [TEXTS("adapter_starts").sheet(rows, results.floor.classes)]


def consistency_against_fid(results: TwoStageRows) -> Picture:
    """The trade-off that the report guesses at: class consistency against the judge's FID, every row a point."""
    rows = [row for row in results.rows if row.has_classes]
    points = [(row.values["fid_classifier"], 100 * row.values["class_consistency"]) for row in rows]
    floor, real = results.floor.values["fid_classifier"], results.floor_consistency["class_consistency"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (x, y) in zip(rows, points, strict=True):
            look = LOOKS[row.group]
            face = "white" if row.stage2 is None else look.colour
            marks = {"color": look.colour, "markerfacecolor": face, "markersize": 7, "clip_on": False}
            (point,) = axes.plot(x, y, look.marker, **marks)
            name_series(point, look.label, f"{row.name}: FID {x:.4g}, class consistency {y:.4g} %")
        axes.axhline(100 / len(results.floor.classes), color=CHANCE.colour, linewidth=1, linestyle=CHANCE.line)
        log_where_decades(axes, [x for x, _ in points], "x")
        axes.set_xlabel("FID ↓, judge")
        axes.set_ylabel("class consistency, % ↑, judge")
        axes.margins(0.08, 0.1)
        axes.set_ylim(bottom=0)
        legend_above(figure, [*(LOOKS[group] for group in results.representatives), CHANCE])
        label_points(axes, points, [row.name if row in results.at_a_glance else "" for row in rows])

    return TEXTS("consistency_fid", floor=floor, real=real).chart(draw, 5.4)


def confusion(results: TwoStageRows) -> Picture:
    """Intended class against the judge's, in percent of the intended class, for stage 1 and every architecture."""
    shown, classes = list(results.representatives.values()), results.floor.classes
    counts = [np.asarray(row.values["confusion"]) for row in shown]
    percents = [100 * matrix / matrix.sum(axis=1, keepdims=True).clip(1) for matrix in counts]
    lines = -(-len(shown) // 3)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(lines, 3, squeeze=False)
        for place, (axes, row, matrix) in enumerate(zip(panels.flat, shown, percents, strict=False)):
            image = _matrix(axes, matrix, classes, labelled=place % 3 == 0)
            image.set_clim(0, max(map(np.max, percents)))
            axes.set_title(f"{row.title}, {CONSISTENCY.text(row.run)}", fontsize=9)
        for axes in panels.flat[len(shown) :]:
            axes.set_axis_off()
        figure.colorbar(image, ax=panels, label="% of the intended class", shrink=0.5, aspect=30)

    first, *others = [row.values["class_consistency"] for row in shown]
    text = TEXTS("confusion", first=first, others=span(others, 1, 100, "%"), chance=1 / len(classes))
    return text.chart(draw, 0.2 + 2.9 * lines)


def gradients(results: TwoStageRows) -> Picture:
    """Norms of the two terms' gradients at the images during stage 2, and their cosine, by architecture."""
    shown = [row for row in results.representatives.values() if row.stage2 is not None]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, len(shown), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2))
        for (above, below), row in zip(panels.T, shown, strict=True):
            table = row.gradient_curve()
            curve_panel(above, row.run.name, table, GRADIENTS, scale=row.stage2.n_gen)
            above.set_yscale("log")
            above.set_title(row.title, fontsize=9)
            below.axhline(0, color=INK, linewidth=1)
            curve_panel(below, row.run.name, table, {COSINE: Look(COSINE, INK, "")}, scale=row.stage2.n_gen)
            below.set_ylim(-1, 1)
            below.set_xlabel("generator step")
        panels[0, 0].set_ylabel("L2 norm")
        panels[1, 0].set_ylabel("cosine")
        legend_above(figure, list(GRADIENTS.values()))

    return TEXTS("gradients").chart(draw, 4.4)


def curves(results: TwoStageRows) -> Picture:
    """Training losses of every stage 1, and of every architecture's representative below."""
    stage1 = [(row.title, row.run, STAGE1_CURVES) for row in results.stage1_rows]
    stage2 = [(row.title, row.run, STAGE2_CURVES) for row in results.representatives.values() if row.stage2 is not None]
    lines = [*(stage1[first : first + PANELS] for first in range(0, len(stage1), PANELS)), stage2]

    def draw(figure: Figure) -> None:
        for axes in curve_grid(figure, lines, ["loss"] * len(lines), sharey="row").flat:
            axes.set_xlabel("iteration")
        legend_above(figure, [DISCRIMINATOR, GENERATOR, GUIDANCE])

    return TEXTS("curves_two_stage").chart(draw, 2.4 * len(lines))


def _sheet(results: TwoStageRows, name: str, rows: Iterable[Row]) -> Picture:
    return TEXTS(name).sheet({row.title: _by_class(results, row) for row in rows}, results.floor.classes)


def _by_class(results: TwoStageRows, row: Row, step: int | None = None) -> list[NDArray[np.uint8]]:
    """A preview's images as one mosaic per class: image i is of class i modulo the number of classes."""
    count, images = len(results.floor.classes), previews(results, row.run, step=step)
    whole = images[: len(images) // (count * TILE_COLUMNS) * count * TILE_COLUMNS]
    return [mosaic(whole[index::count], TILE_COLUMNS) for index in range(count)]


def _matrix(axes: Axes, percent: NDArray[np.float64], classes: Sequence[str], labelled: bool) -> AxesImage:
    image, places = axes.imshow(percent, cmap="Blues"), range(len(classes))
    axes.set_xticks(places, classes, rotation=90, fontsize=7)
    axes.set_yticks(places, classes if labelled else [""] * len(classes), fontsize=7)
    axes.set_xlabel("judged", fontsize=8)
    axes.set_ylabel("intended" if labelled else "", fontsize=8)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image

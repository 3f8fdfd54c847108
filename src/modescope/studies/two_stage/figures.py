"""Study 2's figures."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from modescope.pictures import mosaic
from modescope.report.figures import INK, Look, image_sheet, label_points, legend_above, render
from modescope.report.page import Picture
from modescope.report.results import Results
from modescope.report.trainings import curve, curve_panel, previews
from modescope.studies.two_stage.rows import (
    ADVERSARIAL,
    CLASS,
    COSINE,
    LOOKS,
    STAGE1,
    WHOLE,
    Row,
    all_rows,
    consistency,
    floor,
    floor_consistency,
    gradient_curve,
    representatives,
    run,
    stage1_rows,
    stage2_rows,
)

WIDTH = 9.0  # inches
TILE_COLUMNS = 2  # of a class's images in a sheet
CHANCE = Look("chance", INK, "", "--")
DISCRIMINATOR, GENERATOR, GUIDANCE = (
    Look("discriminator", "#56b4e9", ""),
    Look("generator: adversarial term", "#d55e00", ""),
    Look("generator: class term", "#009e73", ""),
)
STAGE1_CURVES = {"train/d_loss": DISCRIMINATOR, "train/g_loss": GENERATOR}
STAGE2_CURVES = {"train/d_loss": DISCRIMINATOR, "train/g_adversarial": GENERATOR, "train/g_class": GUIDANCE}
GRADIENTS = {
    ADVERSARIAL: Look("adversarial term", GENERATOR.colour, ""),
    CLASS: Look("class term", GUIDANCE.colour, ""),
    WHOLE: Look("their sum", INK, "", ":"),
}


def samples(results: Results) -> Picture:
    """Figure 11: the last previews of stage 1 and of every architecture, sorted by intended class."""
    shown = representatives(results.params)
    cells = [_by_class(results, row) for row in shown.values()]
    caption = (
        "As report 1's figure 11: every architecture's representative row and the stage 1 that it starts from. A column's images are "
        "drawn from its class's component of the prior; previews of the end of training, not chosen."
    )
    png = image_sheet(cells, [_name(row) for row in shown.values()], floor(results).classes)
    alt = "Sample images of stage 1 and of every architecture, a column for each class."
    return Picture("figure11", "Samples of every architecture", caption, alt, png)


def adapter_starts(results: Results) -> list[Picture]:
    """The previews before stage 2's first step: representatives, and rows that start otherwise. Empty where nothing is
    adapted.
    """
    chosen = representatives(results.params)
    adapted = [
        row
        for row in stage2_rows(results.params)
        if row.stage2.has_adapters
        and (row in chosen.values() or row.stage2.adapter_start != results.params.adapter_start)
    ]
    if not adapted:
        return []
    cells = [_by_class(results, chosen[STAGE1]), *(_by_class(results, row, step=0) for row in adapted)]
    caption = "Stage 1's last previews, and every adapted generator's before its first step."
    png = image_sheet(cells, [_name(row) for row in (chosen[STAGE1], *adapted)], floor(results).classes)
    alt = "Sample images of stage 1 and of the adapted generators before training, a column for each class."
    return [Picture("adapter_starts", "Where stage 2 starts", caption, alt, png)]


def consistency_against_fid(results: Results) -> Picture:
    """The trade-off that the report guesses at: class consistency against the judge's FID, every row a point."""
    rows = [row for row in all_rows(results.params) if row.has_classes]
    points = [(run(results, row).values["fid_classifier"], 100 * consistency(results, row)) for row in rows]
    chance = 100 / len(floor(results).classes)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (x, y) in zip(rows, points, strict=True):
            look = LOOKS[row.group]
            face = "white" if row.stage2 is None else look.colour
            axes.plot(x, y, look.marker, color=look.colour, markerfacecolor=face, markersize=7, clip_on=False)
        axes.axhline(chance, color=CHANCE.colour, linewidth=1, linestyle=CHANCE.line)
        axes.set_xlabel("FID of the judge's features (lower is better)")
        axes.set_ylabel("class consistency, % (higher is better)")
        axes.margins(0.08, 0.1)
        axes.set_ylim(bottom=0)
        legend_above(figure, [*(LOOKS[group] for group in representatives(results.params)), CHANCE])
        label_points(axes, points, [row.name for row in rows])

    caption = (
        "Every row whose prior has classes; stage 1 hollow. Best is the upper left. Real images: "
        f"FID {floor(results).values['fid_classifier']:.3f}, {floor_consistency(results)['class_consistency']:.1%} judged right."
    )
    alt = "Class consistency against the judge's FID, a point for every row, coloured by architecture."
    return Picture("consistency_fid", "Class consistency against FID", caption, alt, render(draw, WIDTH, 5.4))


def confusion(results: Results) -> Picture:
    """Intended class against the judge's, in percent of the intended class, for stage 1 and every architecture."""
    shown, classes = representatives(results.params), floor(results).classes
    counts = [np.asarray(run(results, row).values["confusion"]) for row in shown.values()]
    percents = [100 * matrix / matrix.sum(axis=1, keepdims=True).clip(1) for matrix in counts]

    def draw(figure: Figure) -> None:
        lines = -(-len(shown) // 3)
        panels = figure.subplots(lines, 3, squeeze=False)
        for place, (axes, row, matrix) in enumerate(zip(panels.flat, shown.values(), percents, strict=False)):
            image = _matrix(axes, matrix, classes, labelled=place % 3 == 0)
            image.set_clim(0, max(map(np.max, percents)))
            axes.set_title(f"{_name(row)}, {consistency(results, row):.1%}", fontsize=9)
        for axes in panels.flat[len(shown) :]:
            axes.set_axis_off()
        figure.colorbar(image, ax=panels, label="% of the intended class", shrink=0.5, aspect=30)

    caption = (
        "Rows: the class of the component that the image was drawn for. Columns: the class that the judge sees. "
        "A guided generator's mass lies on the diagonal."
    )
    alt = "Confusion matrices of intended against judged classes, for stage 1 and every architecture."
    return Picture(
        "confusion",
        "Intended against judged classes",
        caption,
        alt,
        render(draw, WIDTH, 0.2 + 2.9 * -(-len(shown) // 3)),
    )


def gradients(results: Results) -> Picture:
    """Norms of the two terms' gradients at the images during stage 2, and the cosine between them: a column for every
    architecture.
    """
    shown = [row for row in representatives(results.params).values() if row.stage2 is not None]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, len(shown), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2))
        for (above, below), row in zip(panels.T, shown, strict=True):
            table = gradient_curve(results, row)
            curve_panel(above, table, GRADIENTS, scale=row.stage2.n_gen)
            above.set_yscale("log")
            above.set_title(_name(row), fontsize=9)
            below.axhline(0, color=INK, linewidth=1)
            curve_panel(below, table, {COSINE: Look(COSINE, INK, "")}, scale=row.stage2.n_gen)
            below.set_ylim(-1, 1)
            below.set_xlabel("generator step")
        panels[0, 0].set_ylabel("L2 norm")
        panels[1, 0].set_ylabel("cosine")
        legend_above(figure, list(GRADIENTS.values()))

    caption = (
        "Gradients of the generator's loss at a batch of its images: L2 norms, means between two points of the curve, the class term's "
        "with its weight λ; below, the cosine between the two terms' gradients, which follows from the norms. Below 0 they pull apart."
    )
    alt = "Gradient norms of the adversarial and the class term, and the cosine between them, against generator steps, for every architecture."
    return Picture("gradients", "Gradients of the two terms", caption, alt, render(draw, WIDTH, 4.4))


def curves(results: Results) -> Picture:
    """Training losses of every stage 1, and of every architecture's representative below."""
    lines = [
        stage1_rows(results.params),
        [row for row in representatives(results.params).values() if row.stage2 is not None],
    ]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, max(map(len, lines)), sharey="row", squeeze=False)
        for line, rows in zip(panels, lines, strict=True):
            for axes, row in zip(line, rows, strict=False):
                looks = STAGE1_CURVES if row.stage2 is None else STAGE2_CURVES
                curve_panel(axes, curve(run(results, row), looks), looks)
                axes.set_title(_name(row), fontsize=9)
                axes.set_xlabel("iteration")
            for axes in line[len(rows) :]:
                axes.set_axis_off()
            line[0].set_ylabel("loss, nats per image")
        legend_above(figure, [DISCRIMINATOR, GENERATOR, GUIDANCE])

    caption = (
        "Training losses, means between two points of the curve. An iteration is one step of the discriminator and the n of the "
        "generator that follow. The class term's loss includes its weight λ."
    )
    return Picture(
        "curves_two_stage", "Training curves", caption, "Training losses of both stages.", render(draw, WIDTH, 4.9)
    )


def _name(row: Row) -> str:
    return row.name if row.stage2 is None else f"{row.group}: {row.name}"


def _by_class(results: Results, row: Row, step: int | None = None) -> list[NDArray[np.uint8]]:
    """A preview's images as one mosaic per class: image i is of class i modulo the number of classes."""
    count = len(floor(results).classes)
    images = previews(results, run(results, row), step=step)
    whole = images[: len(images) // (count * TILE_COLUMNS) * count * TILE_COLUMNS]
    return [mosaic(whole[index::count], TILE_COLUMNS) for index in range(count)]


def _matrix(axes: Axes, percent: NDArray[np.float64], classes: Sequence[str], labelled: bool) -> AxesImage:
    image = axes.imshow(percent, cmap="Blues")
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=90, fontsize=7)
    axes.set_yticks(places, classes if labelled else [""] * len(classes), fontsize=7)
    axes.set_xlabel("judged", fontsize=8)
    axes.set_ylabel("intended" if labelled else "", fontsize=8)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image

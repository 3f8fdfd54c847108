"""Study 1's figures."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from modescope.data.prepared import load_prepared
from modescope.data.splits import BALANCED, Split
from modescope.pictures import mosaic
from modescope.report.figures import (
    Look,
    Series,
    bars_on_target,
    image_sheet,
    legend_above,
    points_against,
    render,
)
from modescope.report.page import Picture
from modescope.report.results import Results
from modescope.report.trainings import curve, curve_panel, previews
from modescope.studies.imbalance.rows import (
    LOOKS,
    REAL,
    REPORTED,
    basis,
    class_share,
    imbalanced,
    long_tailed,
    models,
    reported,
    run,
    training_counts,
    training_share,
)

WIDTH = 9.0  # inches
SHOWN_IMAGES, IMAGE_COLUMNS = 16, 4
PREVIEW_STRIDE = 4  # of 64 preview images; a mixture's samples come sorted by component
SHOWN_PAIRS = 20
FIGURES = {"gan": "figure1_gan", "vae": "figure2_vae"}
SCORES = {"is": ("Inception score", "IS (higher is better)"), "fid": ("Fréchet distance", "FID (lower is better)")}
CURVES = {
    "gan": {
        "train/d_loss": Look("GAN: discriminator", "#56b4e9", ""),
        "train/g_loss": Look("GAN: generator", "#d55e00", ""),
    },
    "vae": {
        "train/loss": Look("VAE: training", "#cc79a7", ""),
        "eval/loss": Look("VAE: held-out images", "#0072b2", ""),
    },
}


def scores_against_ratio(results: Results, name: str, shown: Sequence[str]) -> Picture:
    """Figures 1 and 2: IS and FID against IR, a row of panels per extractor: scores of two extractors never share one."""
    shown = [model for model in models(results) if model in shown]
    published = _reported_series(results, shown[0])
    rows = {"judge's features": {score: _measured(results, shown, f"{score}_classifier") for score in SCORES}}
    if "inception" in results.params.evaluation.extractors:
        rows["Inception's features"] = {score: _measured(results, shown, score) + published[score] for score in SCORES}
    elif published["fid"]:
        rows["Inception's features, reported only"] = published
    ticks = _ratio_ticks(results)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(rows), len(SCORES), squeeze=False)
        for line, (extractor, series) in zip(panels, rows.items(), strict=True):
            for axes, (score, (title, label)) in zip(line, SCORES.items(), strict=True):
                points_against(axes, series[score], ticks, label, "imbalance ratio IR")
                axes.set_title(f"{title}, {extractor}", fontsize=9)
        legend_above(figure, [*(LOOKS[model] for model in (*shown, REAL)), *([REPORTED] if published["fid"] else [])])

    labels = " and ".join(LOOKS[model].label for model in shown)
    caption = f"IS and FID of {labels} against IR. Hollow: the balanced split, which has all classes and more images."
    alt = f"Inception score and Fréchet distance of {labels} against the imbalance ratio."
    return Picture(
        FIGURES[name], f"{labels}: scores against imbalance", caption, alt, render(draw, WIDTH, 0.4 + 2.8 * len(rows))
    )


def class_shares(results: Results) -> Picture:
    """The picture that the report's claim needs: per split, every model's class shares before the training split's."""
    wide = [split for split in results.splits.values() if len(split.classes) > 6]
    narrow = [split for split in results.splits.values() if len(split.classes) <= 6]
    layout = [[split.name, split.name] for split in wide]
    layout += [[left.name, right.name if right else "."] for left, right in zip_longest(narrow[::2], narrow[1::2])]

    def draw(figure: Figure) -> None:
        for name, axes in figure.subplot_mosaic(layout).items():
            _share_panel(axes, results, results.splits[name])
        legend_above(figure, [LOOKS[model] for model in (REAL, *models(results))], target="training split")

    caption = (
        "Share of each class among the samples, as the judge sees them (narrow bars), before the share in the training split "
        "(grey, black edge). A model without mode collapse comes as close to every edge as the real images do. "
        f"TV = total variation from {basis(results)}."
    )
    alt = "Class shares of the training split, of real images and of every model's samples, for every split."
    png = render(draw, WIDTH, 0.5 + 2.4 * len(layout))
    return Picture("class_share", "Class shares: training split against samples", caption, alt, png)


def recall_of_classes(results: Results) -> Picture:
    """Long tail: the recall of every class of the balanced set against how many images of it were trained on."""
    splits = long_tailed(results)

    def draw(figure: Figure) -> None:
        for axes, (name, split) in zip(
            figure.subplots(1, len(splits), sharey=True, squeeze=False)[0], splits.items(), strict=True
        ):
            counts = training_counts(results, split)
            for model in (REAL, *models(results)):
                look = LOOKS[model]
                recalls = run(results, model, name).values["recall_of_class"]
                axes.plot(counts, recalls, color=look.colour, marker=look.marker, linestyle=look.line, markersize=5)
            axes.set_xscale("log")
            axes.set_xticks(counts[::3], [f"{count:,}" for count in counts[::3]])
            axes.minorticks_off()
            axes.set_title(f"{name}, IR {split.ratio:.1f}")
            axes.set_xlabel("training images of the class")
        figure.axes[0].set_ylabel("recall of the class")
        legend_above(figure, [LOOKS[model] for model in (REAL, *models(results))])

    caption = "Part of each class's real images (balanced training set) that samples come near to, against the number of its training images."
    alt = "Recall of every class against its number of training images, for every long-tailed split."
    return Picture("recall_of_classes", "Long tail: recall of every class", caption, alt, render(draw, WIDTH, 3.4))


def samples(results: Results) -> Picture:
    """Images from all over every split, and every fourth of every model's last preview grid."""
    data = load_prepared(results.folders.data / "rgb" / "train.safetensors").images
    real = [_as_pictures(data[_spread(split.indices)].permute(0, 2, 3, 1).numpy()) for split in results.splits.values()]
    cells = [[mosaic(images, IMAGE_COLUMNS) for images in real]]
    for model in models(results):
        shown = [
            previews(results, run(results, model, split))[::PREVIEW_STRIDE][:SHOWN_IMAGES] for split in results.splits
        ]
        cells.append([mosaic(images, IMAGE_COLUMNS) for images in shown])
    rows = ["training split", *(LOOKS[model].label for model in models(results))]
    caption = "Images of every training split (top; evenly from its list, which begins with the rare classes) and samples of every model at the end of training: every fourth preview, not chosen."
    png = image_sheet(cells, rows, list(results.splits))
    return Picture("samples", "Samples", caption, "Sample images of every model on every split.", png)


def reconstructions(results: Results) -> Picture:
    """Held-out images above what the VAE makes of them, per split."""
    cells = []
    for split in results.splits:
        pairs = previews(results, run(results, "vae", split), "reconstructions")[: 2 * SHOWN_PAIRS]
        cells.append([mosaic(np.concatenate([pairs[0::2], pairs[1::2]]), len(pairs) // 2)])
    caption = "Held-out images (upper rows) and the VAE's reconstructions of them (lower rows)."
    png = image_sheet(cells, list(results.splits), [""])
    return Picture(
        "reconstructions", "Reconstructions", caption, "Images and their reconstructions by the VAE, per split.", png
    )


def curves(results: Results) -> Picture:
    """Training losses, a row of panels per trained model and a column per split."""
    trained = [model for model in models(results) if model in CURVES]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(trained), len(results.splits), sharey="row", squeeze=False)
        for line, model in zip(panels, trained, strict=True):
            for axes, split in zip(line, results.splits, strict=True):
                curve_panel(axes, curve(run(results, model, split), CURVES[model]), CURVES[model])
                axes.set_title(f"{LOOKS[model].label}, {split}", fontsize=9)
            line[0].set_ylabel("loss, nats per image")
        for axes in panels[-1]:
            axes.set_xlabel("step")
        legend_above(figure, [look for model in trained for look in CURVES[model].values()])

    caption = "Training losses. The GAN's are means between two points of the curve; the VAE's held-out loss chooses its weights."
    return Picture(
        "curves",
        "Training curves",
        caption,
        "Training losses of every run.",
        render(draw, WIDTH, 0.3 + 2.2 * len(trained)),
    )


def _spread(indices: Tensor) -> Tensor:
    """As many of a split's indices as are shown, evenly from its list: images of a rare class all stand near its
    beginning.
    """
    return indices[:: max(1, len(indices) // SHOWN_IMAGES)][:SHOWN_IMAGES]


def _measured(results: Results, shown: Sequence[str], score: str) -> list[Series]:
    """Our values of `score` (a metric's name, or its beginning where it has mean and std) for the models and the floor."""
    splits = list(imbalanced(results).values())
    series = []
    for model in (*shown, REAL):
        values = [run(results, model, split.name).values for split in splits]
        means = [value[score] if score in value else value[f"{score}_mean"] for value in values]
        spreads = [value.get(f"{score}_std") for value in values]
        series.append(
            Series(
                LOOKS[model],
                [split.ratio for split in splits],
                means,
                spreads,
                [split.name != BALANCED for split in splits],
            )
        )
    return series


def _reported_series(results: Results, model: str) -> dict[str, list[Series]]:
    printed = [(split, reported(results, model, split)) for split in results.splits.values()]
    printed = [(split, values) for split, values in printed if values]
    ratios, joined = [split.ratio for split, _ in printed], [split.name != BALANCED for split, _ in printed]
    if not printed:
        return {"is": [], "fid": []}
    means, spreads = [values["is_mean"] for _, values in printed], [values["is_std"] for _, values in printed]
    distances = [values["fid"] for _, values in printed]
    return {
        "is": [Series(REPORTED, ratios, means, spreads, joined)],
        "fid": [Series(REPORTED, ratios, distances, [None] * len(printed), joined)],
    }


def _ratio_ticks(results: Results) -> dict[float, str]:
    """IR -> its number above the names of the splits that have it."""
    names: dict[float, list[str]] = {}
    for split in imbalanced(results).values():
        names.setdefault(split.ratio, []).append(split.name)
    return {ratio: "\n".join([f"{ratio:.2f}", *found]) for ratio, found in names.items()}


def _share_panel(axes: Axes, results: Results, split: Split) -> None:
    classes, target = run(results, REAL, split.name).classes, training_share(results, split)
    inside = [classes.index(name) for name in split.classes]
    groups = [*split.classes] if len(inside) == len(classes) else [*split.classes, "other"]

    def shown(share: Sequence[float]) -> list[float]:
        """Percent of the split's classes, then of all others together if there are others."""
        kept = [100 * share[index] for index in inside]
        return [*kept, 100 - sum(kept)][: len(groups)]

    series = {LOOKS[model]: shown(class_share(results, model, split.name)) for model in (REAL, *models(results))}
    bars_on_target(axes, groups, shown(target), series)
    distances = [
        f"{LOOKS[model].label} {run(results, model, split.name).values['class_share_tv']:.2f}"
        for model in (REAL, *models(results))
    ]
    axes.set_title(f"{split.name}, IR {split.ratio:.2f}")
    axes.set_xlabel("TV: " + "  ·  ".join(distances), fontsize=7.5)
    axes.set_ylabel("share, %")


def _as_pictures(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, C) as matplotlib draws them: grey images lose their channel axis."""
    return images[..., 0] if images.shape[-1] == 1 else images

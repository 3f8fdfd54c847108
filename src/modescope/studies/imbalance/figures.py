"""Study 1's figures."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modescope.data.prepared import load_prepared
from modescope.data.splits import BALANCED
from modescope.pictures import mosaic
from modescope.report.figures import Look, Picture, Series, bars_on_target, legend_above, points_against
from modescope.report.trainings import curve_grid, previews
from modescope.report.vector import name_series
from modescope.studies.imbalance.rows import LOOKS, REAL, REPORTED, TEXTS, WITH_LABELS, ImbalanceRows

SHOWN_IMAGES, IMAGE_COLUMNS = 16, 4
PREVIEW_STRIDE = 4  # of 64 preview images, as a mixture's are sorted by component; with labels classes come in turn
SHOWN_PAIRS = 20
FIGURES = {"gan": "figure1_gan", "vae": "figure2_vae"}
SCORES = {"is": ("Inception score", "IS ↑"), "fid": ("Fréchet distance", "FID ↓")}
CURVES = {
    "gan": {
        "train/d_loss": Look("GAN: discriminator", "#56b4e9", ""),
        "train/g_loss": Look("GAN: generator", "#d55e00", ""),
    },
    "gan-ours": {
        "train/d_loss": Look("GAN, ours: discriminator", "#e69f00", ""),
        "train/g_loss": Look("GAN, ours: generator", "#009e73", ""),
    },
    "vae": {
        "train/loss": Look("VAE: training", "#cc79a7", ""),
        "eval/loss": Look("VAE: held-out images", "#0072b2", ""),
    },
}


def scores_against_ratio(results: ImbalanceRows, name: str, shown: Sequence[str]) -> Picture:
    """Figures 1 and 2: IS and FID against IR, a line of panels per extractor: scores of two never share a panel."""
    shown = [model for model in results.models if model in shown]
    published = _published(results, shown[0])
    lines = {"judge's features": {score: _measured(results, shown, f"{score}_classifier") for score in SCORES}}
    if "inception" in results.params.evaluation.extractors:
        lines["Inception's features"] = {s: _measured(results, shown, s) + published[s] for s in SCORES}
    elif published["fid"]:
        lines["Inception's features, reported only"] = published
    names: dict[float, list[str]] = {}
    for split in results.imbalanced.values():
        names.setdefault(split.ratio, []).append(split.name)
    ticks = {ratio: "\n".join([f"{ratio:.2f}", *found]) for ratio, found in names.items()}

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(lines), len(SCORES), squeeze=False)
        for line, (extractor, series) in zip(panels, lines.items(), strict=True):
            for axes, (score, (title, label)) in zip(line, SCORES.items(), strict=True):
                points_against(axes, series[score], ticks, label, "imbalance ratio IR")
                axes.set_title(f"{title}, {extractor}", fontsize=9)
        legend_above(figure, [*(LOOKS[model] for model in (*shown, REAL)), *([REPORTED] if published["fid"] else [])])

    labels = " and ".join(LOOKS[model].label for model in shown)
    return TEXTS(FIGURES[name], labels=labels).chart(draw, 0.4 + 2.8 * len(lines))


def class_shares(results: ImbalanceRows) -> Picture:
    """Per split, every model's class shares before the training split's."""
    wide = [split.name for split in results.splits.values() if len(split.classes) > 6]
    narrow = [name for name in results.splits if name not in wide]
    layout = [[name, name] for name in wide]
    layout += [[left, right or "."] for left, right in zip_longest(narrow[::2], narrow[1::2])]

    def draw(figure: Figure) -> None:
        for name, axes in figure.subplot_mosaic(layout).items():
            _share_panel(axes, results, name)
        shown = results.shown(*results.splits).values()
        legend_above(figure, [LOOKS[model] for model in shown], target="training split")

    return TEXTS("class_share", basis=results.basis).chart(draw, 0.5 + 2.4 * len(layout))


def recall_of_classes(results: ImbalanceRows) -> Picture:
    """Long tail: the recall of every class of the balanced set against how many images of it were trained on."""
    splits = results.long_tailed

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
        for axes, (name, split) in zip(panels, splits.items(), strict=True):
            counts = results.training_counts(name)
            for model in results.shown(name).values():
                look, recalls = LOOKS[model], results.run(model, name).values["recall_of_class"]
                style = {"color": look.colour, "marker": look.marker, "linestyle": look.line, "markersize": 5}
                (line,) = axes.plot(counts, recalls, **style)
                name_series(line, look.label, f"{look.label}, {name}")
            axes.set_xscale("log")
            names = [f"{name}  {count:,}" for name, count in zip(results.classes, counts, strict=True)]
            axes.set_xticks(counts, names, rotation=90, fontsize=7.5)
            axes.minorticks_off()
            axes.set_title(f"{name}, IR {split.ratio:.1f}")
            axes.set_xlabel("class and its training images")
        panels[0].set_ylabel("recall of the class")
        legend_above(figure, [LOOKS[model] for model in results.shown(*splits).values()])

    return TEXTS("recall_of_classes").chart(draw, 3.8)


def samples(results: ImbalanceRows) -> Picture:
    """Images from all over every split, and as many of every model's last preview grid."""
    data = load_prepared(results.folders.data / "rgb" / "train.safetensors").images
    rows: dict[str, list[NDArray[np.uint8] | None]] = {"training split": []}
    for split in results.splits.values():
        # Evenly from the split's list: images of a rare class all stand near its beginning.
        chosen = split.indices[:: max(1, len(split.indices) // SHOWN_IMAGES)][:SHOWN_IMAGES]
        images = data[chosen].permute(0, 2, 3, 1).numpy()
        rows["training split"].append(mosaic(images[..., 0] if images.shape[-1] == 1 else images, IMAGE_COLUMNS))
    for model in results.models:
        stride = 1 if model in WITH_LABELS else PREVIEW_STRIDE
        found = {split: previews(results, results.run(model, split)) for split in results.splits_of(model)}
        drawn = {split: mosaic(images[::stride][:SHOWN_IMAGES], IMAGE_COLUMNS) for split, images in found.items()}
        rows[LOOKS[model].label] = [drawn.get(split) for split in results.splits]
    return TEXTS("samples").sheet(rows, list(results.splits))


def reconstructions(results: ImbalanceRows) -> Picture:
    """Held-out images above what the VAE makes of them, per split."""
    rows = {}
    for split in results.splits:
        pairs = previews(results, results.run("vae", split), "reconstructions")[: 2 * SHOWN_PAIRS]
        rows[split] = [mosaic(np.concatenate([pairs[0::2], pairs[1::2]]), len(pairs) // 2)]
    return TEXTS("reconstructions").sheet(rows, [""])


def curves(results: ImbalanceRows) -> Picture:
    """Training losses, a line of panels per trained model and a column per split."""
    trained = [model for model in results.models if model in CURVES]
    lines = [
        [
            (f"{LOOKS[model].label}\n{name}", results.run(model, name), CURVES[model])
            for name in results.splits_of(model)
        ]
        for model in trained
    ]

    def draw(figure: Figure) -> None:
        panels = curve_grid(figure, lines, ["loss"] * len(lines), sharey="row")
        for axes in panels[-1]:
            axes.set_xlabel("step")
        legend_above(figure, [look for model in trained for look in CURVES[model].values()])

    return TEXTS("curves").chart(draw, 0.5 + 2.3 * len(lines))


def _measured(results: ImbalanceRows, shown: Sequence[str], score: str) -> list[Series]:
    """Our values of `score` (a metric's name, or its beginning where it has mean and std), and the floor's."""
    series = []
    for model in (*shown, REAL):
        splits = [split for name, split in results.imbalanced.items() if name in results.splits_of(model)]
        joined = [split.name != BALANCED for split in splits]
        values = [results.run(model, split.name).values for split in splits]
        means = [value[score] if score in value else value[f"{score}_mean"] for value in values]
        spreads = [value.get(f"{score}_std") for value in values]
        series.append(Series(LOOKS[model], [split.ratio for split in splits], means, spreads, joined))
    return series


def _published(results: ImbalanceRows, model: str) -> dict[str, list[Series]]:
    """What report 1 printed, by score."""
    printed = {split: values for split in results.splits.values() if (values := results.printed(model, split.name))}
    if not printed:
        return {"is": [], "fid": []}
    ratios, joined = zip(*((split.ratio, split.name != BALANCED) for split in printed), strict=True)

    def series(mean: str, spread: str) -> list[Series]:
        means, spreads = ([values.get(key) for values in printed.values()] for key in (mean, spread))
        return [Series(REPORTED, ratios, means, spreads, joined)]

    return {"is": series("is_mean", "is_std"), "fid": series("fid", "fid_std")}


def _share_panel(axes: Axes, results: ImbalanceRows, name: str) -> None:
    split, classes = results.splits[name], results.classes
    inside = [classes.index(label) for label in split.classes]
    groups = [*split.classes] if len(inside) == len(classes) else [*split.classes, "other"]

    def shown(share: Sequence[float]) -> list[float]:
        """Percent of the split's classes, then of all others together if there are others."""
        kept = [100 * share[index] for index in inside]
        return [*kept, 100 - sum(kept)][: len(groups)]

    models = results.shown(name)
    series = {LOOKS[model]: shown(results.class_share(model, name)) for model in models.values()}
    bars_on_target(axes, groups, shown(results.training_share(name)), series)
    distances = [f"{of} {results.run(model, name).values['class_share_tv']:.2f}" for of, model in models.items()]
    axes.set_title(f"{name}, IR {split.ratio:.2f}")
    basis = "TV from the balanced set: " if split.rho is not None else "TV: "
    axes.set_xlabel(basis + "  ·  ".join(distances), fontsize=7.5)
    axes.set_ylabel("share, %")

"""Study 3's charts: the losses compared, labels against none, and training curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from modescope.report.figures import INK, Look, legend_above, render
from modescope.report.page import Picture
from modescope.report.results import Results
from modescope.report.trainings import curve, curve_panel
from modescope.studies.cgan.rows import (
    LABELLED,
    MODES,
    UNLABELLED,
    Extractor,
    Row,
    extractors,
    floor,
    look,
    published,
    run,
    shown,
)

WIDTH = 9.0  # inches
BEST = Look("lowest FID", INK, "", "--")
G_LOSS = "train/g_loss"
SMOOTHED = 0.1  # of a curve's points, in the mean that stands for one
LEAST = 1e-9  # an unbiased KID can be 0 or less
DISCRIMINATOR, GENERATOR = (
    Look("discriminator, real images", "#0072b2", ""),
    Look("generator, generated images", "#d55e00", ""),
)
CURVES: dict[str, dict[str, Look]] = {
    "loss": {"train/d_loss": DISCRIMINATOR, G_LOSS: GENERATOR},
    "D's score": {"train/d_real": DISCRIMINATOR, "train/d_fake": GENERATOR},
    "gradient, L2 norm": {"train/d_gradient_norm": DISCRIMINATOR, "train/g_gradient_norm": GENERATOR},
}


def benchmark(results: Results) -> Picture:
    """Figure 7.1: FID, KID, training time, generator losses, class consistency, and a radar of them with recall."""
    rows, of = shown(results), extractors(results.params)[-1]
    looks = [look(results.params, row) for row in rows]
    values = [run(results, row).values for row in rows]

    def draw(figure: Figure) -> None:
        panels = [figure.add_subplot(2, 3, place, projection="polar" if place == 6 else None) for place in range(1, 7)]
        fid, kid, seconds, losses, consistent, radar = panels
        _bars(fid, looks, [value[of.fid] for value in values], digits=of.digits)
        fid.axhline(min(value[of.fid] for value in values), color=BEST.colour, linestyle=BEST.line, linewidth=1)
        _bars(
            kid,
            looks,
            [value[f"{of.kid}_mean"] for value in values],
            [value[f"{of.kid}_std"] for value in values],
            digits=4,
        )
        _bars(seconds, looks, [value["seconds"] for value in values], digits=0)
        _loss_curves(losses, results, rows)
        _bars(consistent, looks, [100 * value["class_consistency"] for value in values], digits=1)
        consistent.set_ylim(0, 110)
        _radar(radar, looks, _qualities(values, of))
        titles = ("FID ↓", "KID ↓", "Training time ↓", "Generator loss, smoothed", "Class consistency ↑", "Overview")
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, pad=16 if axes is radar else None)
        for axes, label in {
            fid: f"of {of.name}",
            kid: f"of {of.name}",
            seconds: "seconds",
            consistent: "% of the images",
        }.items():
            axes.set_ylabel(label)
        legend_above(figure, [*looks, BEST])

    caption = (
        f"As report 2's figure 7.1: the rows with labels; FID and KID of {of.name} (real images: FID {floor(results).values[of.fid]:.3f}), KID with "
        "its standard deviation over subsets. A critic's loss has the right axis. Overview, 0 in the centre to 1 at the rim: the lowest FID, KID and "
        "training time as a part of the row's own; class consistency and recall as they are."
    )
    alt = "FID, KID, training time, generator loss and class consistency of every loss with labels, and a radar chart of them."
    return Picture("figure7_1", "The losses compared", caption, alt, render(draw, WIDTH, 6.2))


def labels_gain(results: Results) -> Picture:
    """Figure 7.2: FID and KID with labels and without, and by how much labels lower the FID. Needs both modes."""
    of, names = extractors(results.params)[-1], results.params.cgan.losses
    values = {mode: [run(results, row).values for row in published(results.params, mode)] for mode in MODES}
    with_labels, without = (np.array([value[of.fid] for value in values[mode]]) for mode in (LABELLED, UNLABELLED))
    gains = 100 * (without - with_labels) / without

    def draw(figure: Figure) -> None:
        fid, kid, gain = figure.subplots(1, 3)
        for place, mode in zip((-0.2, 0.2), MODES, strict=True):
            looks = [Look(name, MODES[mode].colour) for name in names]
            _bars(fid, looks, [value[of.fid] for value in values[mode]], None, place, of.digits)
            _bars(
                kid,
                looks,
                [value[f"{of.kid}_mean"] for value in values[mode]],
                [value[f"{of.kid}_std"] for value in values[mode]],
                place,
                4,
            )
        _bars(gain, [Look(name, INK) for name in names], gains, digits=0)
        gain.axhline(0, color=INK, linewidth=1)
        gain.margins(y=0.15)
        for axes, title in {fid: "FID ↓", kid: "KID ↓", gain: "FID lower with labels by"}.items():
            axes.set_title(title)
            axes.set_ylabel("%" if axes is gain else f"of {of.name}")
        legend_above(figure, list(MODES.values()))

    caption = (
        f"As report 2's figure 7.2: FID and KID of {of.name}, KID with its standard deviation over subsets; "
        "right, the part of the FID without labels that labels take away, below 0 what they add."
    )
    alt = "FID and KID of every loss with labels and without, and the change of FID in percent."
    return Picture("figure7_2", "With labels against without", caption, alt, render(draw, WIDTH, 3.2))


def curves(results: Results) -> Picture:
    """Losses, scores and gradient norms over training, a column for every row."""
    rows = shown(results) or published(results.params, UNLABELLED)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(CURVES), len(rows), sharex="col", squeeze=False)
        for line, (ylabel, looks) in zip(panels, CURVES.items(), strict=True):
            for axes, row in zip(line, rows, strict=True):
                curve_panel(axes, curve(run(results, row), looks), looks)
            line[0].set_ylabel(ylabel)
        for axes in panels[-1]:
            axes.sharey(panels[-1, 0])
            axes.set_yscale("log")
            axes.tick_params(which="both", labelsize=7.5)
            axes.set_xlabel("step")
        for axes, row in zip(panels[0], rows, strict=True):
            axes.set_title(row.label, fontsize=9)
        legend_above(figure, [DISCRIMINATOR, GENERATOR])

    caption = (
        "Means between two points of the curve; a step is one of the generator. Top: the losses, the discriminator's with its scale and gradient "
        "penalty. Middle: what the discriminator says of real and of generated images, a probability under bce and its output elsewhere. "
        "Bottom: the norm of each network's gradient."
    )
    alt = "Losses, discriminator scores and gradient norms over training, for every loss."
    return Picture("curves_cgan", "Training curves", caption, alt, render(draw, WIDTH, 5.4))


def _bars(
    axes: Axes,
    looks: Sequence[Look],
    heights: Sequence[float],
    spreads: Sequence[float] | None = None,
    place: float | None = None,
    digits: int = 2,
) -> None:
    """A bar for each look with its value above; those at a `place` leave room for others beside them."""
    places = np.arange(len(looks)) + (place or 0)
    error = {"elinewidth": 1, "capsize": 2.5, "ecolor": INK}
    drawn = axes.bar(
        places,
        heights,
        0.7 if place is None else 0.38,
        color=[look.colour for look in looks],
        yerr=spreads,
        error_kw=error,
    )
    axes.bar_label(
        drawn,
        [f"{height:,.{digits}f}" for height in heights],
        padding=2,
        fontsize=6.5,
        rotation=0 if place is None else 90,
    )
    axes.set_xticks(
        range(len(looks)), [look.label for look in looks], fontsize=7, rotation=25, ha="right", rotation_mode="anchor"
    )
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.12 if place is None else 0.25)


def _loss_curves(axes: Axes, results: Results, rows: Sequence[Row]) -> None:
    """Smoothed generator losses; critics' against an axis of their own, on the right."""
    right = axes.twinx() if len({row.config.discriminator for row in rows}) > 1 else axes
    for row in rows:
        table = curve(run(results, row), [G_LOSS])
        smooth = table.assign(
            **{G_LOSS: table[G_LOSS].rolling(max(1, int(SMOOTHED * len(table))), min_periods=1).mean()}
        )
        curve_panel(
            right if row.config.discriminator == "critic" else axes, smooth, {G_LOSS: look(results.params, row)}
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    if right is not axes:
        critics = [row for row in rows if row.config.discriminator == "critic"]
        right.set_ylabel(", ".join(row.label for row in critics), color=look(results.params, critics[0]).colour)
        right.spines["right"].set_visible(True)
        right.grid(visible=False)


def _qualities(values: Sequence[Mapping[str, float]], of: Extractor) -> dict[str, list[float]]:
    """Axis -> a number from 0 to 1 for each run, higher is better."""

    def lowest_over(metric: str) -> list[float]:
        found = [max(value[metric], LEAST) for value in values]
        return [min(found) / value for value in found]

    return {
        "FID": lowest_over(of.fid),
        "KID": lowest_over(f"{of.kid}_mean"),
        "consistency": [value["class_consistency"] for value in values],
        "recall": [value["recall"] for value in values],
        "speed": lowest_over("seconds"),
    }


def _radar(axes: PolarAxes, looks: Sequence[Look], qualities: Mapping[str, Sequence[float]]) -> None:
    angles = np.linspace(0, 2 * np.pi, len(qualities), endpoint=False)
    closed = [*angles, angles[0]]
    for line, own in zip(looks, zip(*qualities.values(), strict=True), strict=True):
        axes.plot(closed, [*own, own[0]], color=line.colour, linewidth=1.4)
        axes.fill(closed, [*own, own[0]], color=line.colour, alpha=0.08)
    axes.set_theta_offset(np.pi / 2)
    axes.set_xticks(angles, list(qualities), fontsize=7.5)
    axes.set_yticks((0.25, 0.5, 0.75, 1), ("", "0.5", "", "1"), fontsize=6.5)
    axes.set_ylim(0, 1)
    axes.spines[:].set_color(INK)

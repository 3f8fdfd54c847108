"""Study 3's charts: the losses compared, labels against none, and training curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from modescope.report.figures import INK, Look, Picture, legend_above, log_where_decades
from modescope.report.trainings import curve, curve_grid, curve_panel
from modescope.report.vector import name_series
from modescope.report.wording import decimals
from modescope.studies.cgan.rows import CRITIC, LABELLED, MODES, TEXTS, UNLABELLED, CganRows, Extractor, Row, extractors

BEST = Look("lowest FID", INK, "", "--")
G_LOSS = "train/g_loss"
SMOOTHED = 0.1  # of a curve's points, in the mean that stands for one
LEAST = 1e-9  # an unbiased KID can be 0 or less
DISCRIMINATOR = Look("discriminator, real images", "#0072b2", "")
GENERATOR = Look("generator, generated images", "#d55e00", "")
CURVES: dict[str, dict[str, Look]] = {
    "loss": {"train/d_loss": DISCRIMINATOR, G_LOSS: GENERATOR},
    "D's score": {"train/d_real": DISCRIMINATOR, "train/d_fake": GENERATOR},
    "gradient, L2 norm": {"train/d_gradient_norm": DISCRIMINATOR, "train/g_gradient_norm": GENERATOR},
}


def benchmark(results: CganRows) -> Picture:
    """Figure 7.1: FID, KID, training time, generator losses, class consistency, and a radar of them with recall."""
    rows, of = results.shown, extractors(results.params)[-1]
    looks, values = [row.look for row in rows], [row.values for row in rows]

    def draw(figure: Figure) -> None:
        panels = [figure.add_subplot(2, 3, place, projection="polar" if place == 6 else None) for place in range(1, 7)]
        fid, kid, seconds, losses, consistent, radar = panels
        _bars(fid, looks, _of(values, of.fid), digits=of.digits)
        fid.axhline(min(_of(values, of.fid)), color=BEST.colour, linestyle=BEST.line, linewidth=1)
        _bars(kid, looks, _of(values, f"{of.kid}_mean"), _of(values, f"{of.kid}_std"), digits=4)
        _bars(seconds, looks, _of(values, "seconds"), digits=0)
        _loss_curves(losses, rows)
        _bars(consistent, looks, [100 * value for value in _of(values, "class_consistency")], digits=1)
        consistent.set(yscale="linear", ylim=(0, 110))
        _radar(radar, looks, _qualities(values, of))
        titles = ("FID ↓", "KID ↓", "Training time ↓", "Generator loss, smoothed", "Class consistency ↑", "Overview")
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, pad=16 if axes is radar else None)
        labels = (f"of {of.name}", f"of {of.name}", "seconds", "% of the images")
        for axes, label in zip((fid, kid, seconds, consistent), labels, strict=True):
            axes.set_ylabel(label)
        legend_above(figure, [*looks, BEST])

    return TEXTS("figure7_1", of=of.name, real=results.floor.values[of.fid]).chart(draw, 6.2)


def labels_gain(results: CganRows) -> Picture:
    """Figure 7.2: FID and KID with labels and without, and by how much labels lower the FID. Needs both modes."""
    of, names = extractors(results.params)[-1], results.params.cgan.losses
    values = {mode: [row.values for row in results.published(mode)] for mode in MODES}
    with_labels, without = (np.array(_of(values[mode], of.fid)) for mode in (LABELLED, UNLABELLED))
    gains = 100 * (without - with_labels) / without

    def draw(figure: Figure) -> None:
        fid, kid, gain = figure.subplots(1, 3)
        for place, mode in zip((-0.2, 0.2), MODES, strict=True):
            looks, found = [Look(name, MODES[mode].colour) for name in names], values[mode]
            _bars(fid, looks, _of(found, of.fid), None, place, of.digits)
            _bars(kid, looks, _of(found, f"{of.kid}_mean"), _of(found, f"{of.kid}_std"), place, 4)
        _bars(gain, [Look(name, INK) for name in names], gains, digits=0)
        gain.set_yscale("linear")
        gain.axhline(0, color=INK, linewidth=1)
        gain.margins(y=0.15)
        for axes, title in {fid: "FID ↓", kid: "KID ↓", gain: "FID lower with labels by"}.items():
            axes.set_title(title)
            axes.set_ylabel("%" if axes is gain else f"of {of.name}")
        legend_above(figure, list(MODES.values()))

    return TEXTS("figure7_2", of=of.name).chart(draw, 3.2)


def curves(results: CganRows) -> Picture:
    """Losses, scores and gradient norms over training, a column for every row."""
    rows = results.shown or results.published(UNLABELLED)
    lines = [
        [("" if index else row.label, row.run, looks) for row in rows] for index, looks in enumerate(CURVES.values())
    ]

    def draw(figure: Figure) -> None:
        panels = curve_grid(figure, lines, list(CURVES), sharex="col")
        for axes in panels[-1]:
            axes.sharey(panels[-1, 0])
            axes.set_yscale("log")
            axes.tick_params(which="both", labelsize=7.5)
            axes.set_xlabel("step")
        legend_above(figure, [DISCRIMINATOR, GENERATOR])

    return TEXTS("curves_cgan").chart(draw, 5.4)


def _of(values: Sequence[Mapping[str, float]], metric: str) -> list[float]:
    return [value[metric] for value in values]


def _bars(
    axes: Axes,
    looks: Sequence[Look],
    heights: Sequence[float],
    spreads: Sequence[float] | None = None,
    place: float | None = None,
    digits: int = 2,
) -> None:
    """A bar for each look with its value above; those at a `place` leave room for others beside them."""
    alone, error = place is None, {"elinewidth": 1, "capsize": 2.5, "ecolor": INK}
    places, colours = np.arange(len(looks)) + (place or 0), [look.colour for look in looks]
    log_where_decades(axes, heights)
    drawn = axes.bar(places, heights, 0.7 if alone else 0.38, color=colours, yerr=spreads, error_kw=error)
    texts = [f"{height:,.{decimals(height, digits)}f}" for height in heights]
    for bar, look, text in zip(drawn, looks, texts, strict=True):
        name_series(bar, look.label, f"{look.label}: {text}")
    axes.bar_label(drawn, texts, padding=2, fontsize=6.5, rotation=0 if alone else 90)
    turned = {"fontsize": 7, "rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(looks)), [look.label for look in looks], **turned)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.12 if alone else 0.25)


def _loss_curves(axes: Axes, rows: Sequence[Row]) -> None:
    """Smoothed generator losses; critics' against an axis of their own, on the right."""
    critics = [row for row in rows if row.config.discriminator == CRITIC]
    right = axes.twinx() if 0 < len(critics) < len(rows) else axes
    for row in rows:
        table = curve(row.run, [G_LOSS])
        window = table[G_LOSS].rolling(max(1, int(SMOOTHED * len(table))), min_periods=1)
        smoothed = table.assign(**{G_LOSS: window.mean()})
        curve_panel(right if row in critics else axes, row.name, smoothed, {G_LOSS: row.look})
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    if right is not axes:
        right.set_ylabel(", ".join(row.label for row in critics), color=critics[0].look.colour)
        right.spines["right"].set_visible(True)
        right.grid(visible=False)


def _qualities(values: Sequence[Mapping[str, float]], of: Extractor) -> dict[str, list[float]]:
    """Axis -> a number from 0 to 1 for each run, higher is better."""

    def lowest_over(metric: str) -> list[float]:
        found = [max(value, LEAST) for value in _of(values, metric)]
        return [min(found) / value for value in found]

    return {
        "FID": lowest_over(of.fid),
        "KID": lowest_over(f"{of.kid}_mean"),
        "consistency": _of(values, "class_consistency"),
        "recall": _of(values, "recall"),
        "speed": lowest_over("seconds"),
    }


def _radar(axes: PolarAxes, looks: Sequence[Look], qualities: Mapping[str, Sequence[float]]) -> None:
    angles = np.linspace(0, 2 * np.pi, len(qualities), endpoint=False)
    closed = [*angles, angles[0]]
    for line, own in zip(looks, zip(*qualities.values(), strict=True), strict=True):
        drawn = axes.plot(closed, [*own, own[0]], color=line.colour, linewidth=1.4)
        drawn += axes.fill(closed, [*own, own[0]], color=line.colour, alpha=0.08)
        for artist in drawn:
            name_series(artist, line.label, line.label)
    axes.set_theta_offset(np.pi / 2)
    axes.set_xticks(angles, list(qualities), fontsize=7.5)
    axes.set_yticks((0.25, 0.5, 0.75, 1), ("", "0.5", "", "1"), fontsize=6.5)
    axes.set_ylim(0, 1)
    axes.spines[:].set_color(INK)

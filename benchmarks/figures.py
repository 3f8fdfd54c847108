"""The benchmark as one picture."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modescope.report.figures import INK, SOFT_INK, render

OURS, MEMORY = "#0072b2", "#d55e00"


def picture(measured: dict[str, Any]) -> bytes:
    """Every loop against the plain one, and costs by size; PNG."""

    def draw(figure: Figure) -> None:
        figure.suptitle(
            f"{measured['device']}: {measured['peak_gflops'] / 1000:.2f} TFLOP/s at most (matrix product)",
            x=0.01,
            ha="left",
            fontsize=9,
        )
        panels = figure.subplot_mosaic(
            [["loops", "batch_size", "width"], ["loops", "images", "memory"]], width_ratios=[1.25, 1, 1]
        )
        _loops(panels["loops"], measured["loops"])
        for name, label in (("batch_size", "batch size"), ("width", "width")):
            _scaling(panels[name], name, label, measured["scaling"][name])
        _evaluation(panels["images"], measured["scaling"]["evaluation"])
        _memory(panels["memory"], measured["scaling"])

    return render(draw, 13, 6.2)


def _loops(axes: Axes, loops: Sequence[dict[str, Any]]) -> None:
    """Ratios with their extremes, and beside each the share of the machine's peak."""
    loops = [loop for loop in loops if loop["gflop_per_step"]][::-1]
    places = range(len(loops))
    ratios = [loop["ratio"] for loop in loops]
    spread = [
        [loop["ratio"] - loop["ratio_min"] for loop in loops],
        [loop["ratio_max"] - loop["ratio"] for loop in loops],
    ]
    axes.barh(places, ratios, color=OURS, xerr=spread, error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2})
    axes.axvline(1, color=SOFT_INK, linewidth=1, linestyle=":")
    for place, loop in zip(places, loops, strict=True):
        axes.text(0.06, place, f"{loop['peak_share']:.0%} of peak", va="center", fontsize=7.5, color="white")
    axes.set_yticks(places, [loop["loop"] for loop in loops])
    axes.grid(False, axis="y")
    axes.set_title("Steps per second, ours / plain loop")


def _scaling(axes: Axes, name: str, label: str, rows: Sequence[dict[str, Any]]) -> None:
    sizes = [row[name] for row in rows]
    axes.plot(sizes, [row["images_per_second"] for row in rows], color=OURS, marker="o", markersize=4)
    for row in rows:
        place = (row[name], row["images_per_second"])
        axes.annotate(
            f"{row['peak_share']:.0%}",
            place,
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=SOFT_INK,
        )
    _doublings(axes, sizes, label)
    axes.set_ylabel("images / s (above: share of peak)")
    axes.set_title(f"Study 1's GAN against {label}")


def _evaluation(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    sizes = [row["images"] for row in rows]
    axes.plot(sizes, [row["seconds"] for row in rows], color=OURS, marker="o", markersize=4)
    _doublings(axes, sizes, "images")
    axes.set_ylabel("seconds")
    axes.set_title("Evaluation, all metrics, judge")


def _memory(axes: Axes, scaling: dict[str, Sequence[dict[str, Any]]]) -> None:
    """Beyond what the process held before."""
    for name, label, line in (("batch_size", "batch size", "-"), ("width", "width", "--")):
        rows = [row for row in scaling[name] if row["peak_mib"] is not None]
        axes.plot(
            [row[name] for row in rows],
            [row["peak_mib"] for row in rows],
            color=MEMORY,
            linestyle=line,
            marker="o",
            markersize=4,
            label=label,
        )
    _doublings(
        axes, sorted({row[name] for name in ("batch_size", "width") for row in scaling[name]}), "batch size, width"
    )
    axes.set_ylabel("MiB")
    axes.legend()
    axes.set_title("Peak memory of training")


def _doublings(axes: Axes, ticks: Sequence[int], label: str) -> None:
    """Sizes on a logarithmic axis, costs from zero with room for a label above."""
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1.12 * axes.dataLim.ymax)
    axes.set_xticks(ticks, [f"{tick // 1000}k" if tick >= 1000 else str(tick) for tick in ticks], fontsize=7.5)
    axes.minorticks_off()
    axes.set_xlabel(label)

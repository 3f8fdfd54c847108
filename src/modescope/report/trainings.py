"""What every training run leaves behind, shown: preview grids, curves, and what it took."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modescope.data.prepared import load_prepared
from modescope.errors import UserError
from modescope.files import as_written
from modescope.pictures import read_picture, tiles
from modescope.report.figures import Look
from modescope.report.results import Results, Run
from modescope.report.scores import data_names
from modescope.report.tables import Column, Table, column, columns
from modescope.report.texts import SHARED
from modescope.report.vector import name_series
from modescope.runs.folder import CURVES_FILE

COLUMNS = columns("run", "key", "device") + (column("precision", title="precision", group="", digits=2),)
COLUMNS += columns("steps") + (column("steps_per_second", group=""), column("seconds", group=""))
COLUMNS += columns("resumed_from_step", "collapsed_at_step")


def timings(name: str, results: Results, runs: Sequence[Run], more: Sequence[Column] = (), note: str = "") -> Table:
    """What every training run took and on what; `more` columns are found in run.json by key, `note` explains them."""
    shown = [*COLUMNS, *more]
    rows = [{one.key: found.info.get(one.key) for one in shown} | {"run": found.name} for found in runs]
    facts = {"data": data_names(runs), "profile": results.profile}
    return SHARED("runs", note=note)._replace(name=name).table(rows, facts, shown)


def curve(found: Run, columns: Iterable[str]) -> pd.DataFrame:
    """Columns of a run's curve by step; empty for a run that was given its weights and took no step."""
    file = found.folder / CURVES_FILE
    return (pd.read_csv(file) if file.exists() else pd.DataFrame()).reindex(columns=["step", *columns])


def curve_panel(axes: Axes, run: str, table: pd.DataFrame, looks: Mapping[str, Look], scale: float = 1.0) -> None:
    """Columns of a run's curve, each in its look, against step * `scale`."""
    for name, look in looks.items():
        points, style = table[["step", name]].dropna(), {"color": look.colour, "linestyle": look.line, "linewidth": 1.4}
        (line,) = axes.plot(points["step"] * scale, points[name], **style)
        name_series(line, look.label, f"{run}: {name.removeprefix('train/')}")
    axes.tick_params(labelsize=7.5)
    axes.locator_params(axis="x", nbins=3)


def curve_grid(
    figure: Figure, lines: Sequence[Sequence[tuple[str, Run, Mapping[str, Look]]]], ylabels: Sequence[str], **sharing
) -> NDArray[np.object_]:
    """Panels (title, run, looks) of curves, line by line; `sharing` says which axes are shared, as in `subplots`."""
    panels = figure.subplots(len(lines), max(map(len, lines)), squeeze=False, **sharing)
    for line, cells, ylabel in zip(panels, lines, ylabels, strict=True):
        for axes, (title, found, looks) in zip(line, cells, strict=False):
            curve_panel(axes, found.name, curve(found, looks), looks)
            axes.set_title(title, fontsize=9)
        for axes in line[len(cells) :]:
            axes.set_axis_off()
        line[0].set_ylabel(ylabel)
    return panels


def previews(
    results: Results, found: Run, kind: str = "samples", step: int | None = None, slot: str = "rgb"
) -> NDArray[np.uint8]:
    """A run's preview, the last or that of a step: images (N, H, W[, C]) uint8 of the size of the data `slot`.

    Raises UserError where there is none.
    """
    pattern = "step-*.png" if step is None else f"step-{step:06d}.png"
    grids = sorted((found.folder / kind).glob(pattern))
    if not grids:
        raise UserError(f"run {found.name} has no picture {found.folder / kind}/{pattern}: run `dvc repro`")
    size = load_prepared(results.folders.data / slot / "train.safetensors").images.shape[-1]
    with as_written(grids[-1]):
        return tiles(np.asarray(read_picture(grids[-1])), size)

"""What was found inside runs, on a page: lost modes, failures, copies of training images, and paths between two z."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modescope.pictures import mosaic
from modescope.report.figures import FLOOR, Look, Picture, legend_above
from modescope.report.page import GLANCE, PAGE, PROFILE, Finding, Page, Section, write_study
from modescope.report.results import INSIDE, Results, Run
from modescope.report.scores import class_cells, class_columns, data_names, judge_fact
from modescope.report.tables import Table, Value
from modescope.report.texts import SHARED
from modescope.report.trainings import previews
from modescope.report.vector import name_series
from modescope.report.wording import listing

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SPACES = ("judge", "pixels")
PLANTED = "real images, 10 % copies"
FAILURES = {"least_sure": "least sure", "misjudged": "wrongly judged"}
LOST = ("lost", "nearest")  # blocks of a picture of what is lost
NEAREST = ("", "nearest, judge", "nearest, pixels")  # blocks of a picture of failures
PATHS = {"z": "two z", "labels": "two labels"}
BLENDS = {"blend": "real images of a class", "blend_labels": "real images of two classes"}


def content(results: Results, study: str, judge: str, slot: str) -> list[Table | Picture]:
    """Of a study's runs that are looked into; `slot` is that of their data."""
    runs = [results.runs[name] for name in results.inside(study)]
    return items(results, runs, judge, slot) if runs else []


def items(results: Results, runs: Sequence[Run], judge: str, slot: str) -> list[Table | Picture]:
    """Of some looks inside runs, which are not all of one split."""
    facts = {"data": data_names(runs), "judge": judge_fact(results, judge), "profile": results.profile}
    walked = [found for found in runs if "changes_z" in found.values]
    return [
        summary(runs, facts),
        lost(results, runs, slot),
        coverage(runs, facts),
        clusters(runs),
        *(sheet for found in runs for sheet in failures(results, found, slot)),
        *([smoothness(walked, facts), paths(results, walked, slot)] if walked else []),
    ]


def write_page(found: Run, results: Results, judge: str, slot: str, out: Path) -> Path:
    """Write a page of one look to the folder `out`, as a study's page is written, and return its file."""
    shown, facts = (
        items(results, [found], judge, slot),
        [(PROFILE, results.profile), ("split", found.info["data"]["split"])],
    )
    page = Page(f"Inside {name_of(found)}", "", facts, [Section(found.name, "", [], shown)])
    write_study(page, replace(shown[0], name=GLANCE), out)
    return out / PAGE


def name_of(found: Run) -> str:
    """The run that is looked into."""
    return found.name.removeprefix(INSIDE)


def summary(runs: Sequence[Run], facts: Mapping[str, str]) -> Table:
    """Lost clusters, samples between classes and copies; real test images and planted copies below."""
    rows = [found.cells | {"row": name_of(found)} for found in runs]
    first = runs[0].values
    floor = {"clusters_lost": first["clusters_lost_test"], "between_classes": first["between_classes_real"]}
    rows.append({"row": FLOOR.label, "quiet": True} | floor | _copies(first, "_test"))
    rows.append({"row": PLANTED, "quiet": True} | _copies(first, "_planted"))
    return SHARED("inside", clusters=first["num_clusters"]).table(rows, facts)


def _copies(values: Mapping[str, Value], which: str) -> dict[str, Value]:
    return {
        f"{name}_{space}": values.get(f"{name}{which}_{space}")
        for name, space in product(("near_copies", "ct", "ct_p"), SPACES)
    }


def coverage(runs: Sequence[Run], facts: Mapping[str, str]) -> Table:
    """Of every class: real images that a sample is near to; a dash where there are no real images."""
    classes, floor = runs[0].classes, runs[0].values["coverage_per_class_test"]
    rows = []
    for name, values in _with_floor(runs, "coverage_per_class").items():
        known = [value if real else None for value, real in zip(values, floor, strict=True)]
        every = [value for value in known if value is not None]
        cells = class_cells(classes, sum(every) / max(1, len(every)), known)
        rows.append({"row": name, "quiet": name == FLOOR.label} | cells)
    return SHARED("inside_coverage").table(rows, facts, class_columns(classes, "class"))


def copies(results: Results, study: str) -> Finding:
    """How many samples of a study's runs that are looked into lie as near to a training image as copies do."""
    looks = [results.runs[name] for name in results.inside(study)]
    real, planted = (looks[0].values[f"near_copies_{which}_judge"] for which in ("test", "planted"))
    rows = listing([f"{name_of(found)} {found.values['near_copies_judge']:.1%}" for found in looks])
    return SHARED.finding("copies", rows=rows, real=real, planted=planted)


def clusters(runs: Sequence[Run]) -> Picture:
    """Of every cluster: real images that a sample is near to, a column of points for each class and run."""
    named, classes = _with_floor(runs, "coverage_per_cluster"), runs[0].classes
    looks = [Look(name, colour, "o", "") for name, colour in zip(named, COLOURS * len(named), strict=False)]
    looks = [*looks[:-1], FLOOR]
    floor = runs[0].values["coverage_per_class_test"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (look, values) in enumerate(zip(looks, named.values(), strict=True)):
            each, aside = len(values) // len(classes), 0.7 * (place + 0.5) / len(looks) - 0.35
            for cluster, share in enumerate(values):
                if floor[of := cluster // each]:
                    style = {"color": look.colour, "markersize": 4, "alpha": 0.75}
                    (point,) = axes.plot(of + aside, 100 * share, look.marker, **style)
                    name_series(point, look.label, f"{look.label}, {classes[of]}: {share:.0%}")
        axes.set_xticks(range(len(classes)), classes, fontsize=8)
        axes.set_ylim(-3, 103)
        axes.set_ylabel("% of the real images covered")
        legend_above(figure, looks)

    return SHARED("inside_clusters").chart(draw, 3.4)


def _with_floor(runs: Sequence[Run], metric: str) -> dict[str, Sequence[float]]:
    """What is measured of every run, then of real test images beside the first."""
    return {name_of(found): found.values[metric] for found in runs} | {FLOOR.label: runs[0].values[f"{metric}_test"]}


def lost(results: Results, runs: Sequence[Run], slot: str) -> Picture:
    """Real images that no sample is near to, under them the nearest samples, for every run."""
    rows: dict[str, Sequence[NDArray[np.uint8]]] = {}
    for found in runs:
        blocks = _blocks(results, found, "lost", slot, len(LOST))
        rows |= {f"{name_of(found)}: {part}": block for part, block in zip(LOST, blocks, strict=True)}
    return SHARED("inside_lost").sheet(rows, runs[0].classes)


def failures(results: Results, found: Run, slot: str) -> list[Picture]:
    """A run's failures by class, and what lies between two classes, each over the nearest training images."""
    kinds = {kind: title for kind, title in FAILURES.items() if (found.folder / kind).exists()}
    rows = {
        f"{title}{', ' * bool(nearest)}{nearest}": block
        for kind, title in kinds.items()
        for nearest, block in zip(NEAREST, _blocks(results, found, kind, slot, len(NEAREST)), strict=True)
    }
    failed = SHARED("inside_failures", run=name_of(found))._replace(name=f"failures_{name_of(found)}")
    pairs = found.values["pairs"]
    pictures = [failed.sheet(rows, found.classes)]
    if pairs:
        blocks = zip(("between", *NEAREST[1:]), _blocks(results, found, "between", slot, len(NEAREST)), strict=True)
        said = SHARED("inside_between", run=name_of(found))._replace(name=f"between_{name_of(found)}")
        pictures.append(said.sheet({name: block[: len(pairs)] for name, block in blocks}, pairs))
    return pictures


def smoothness(runs: Sequence[Run], facts: Mapping[str, str]) -> Table:
    """Of paths between two z and between two labels, above blends of real images."""
    rows = [
        {"row": name_of(found), "of": title, "run": found.name} | _smooth(found.values, kind)
        for found in runs
        for kind, title in PATHS.items()
        if f"changes_{kind}" in found.values
    ]
    blended = [
        {"row": "blends", "of": title, "quiet": True} | _smooth(runs[0].values, kind) for kind, title in BLENDS.items()
    ]
    return SHARED("inside_paths").table(rows + blended, facts)


def _smooth(values: Mapping[str, Value], kind: str) -> dict[str, Value]:
    return {name: values[f"{name}_{kind}"] for name in ("changes", "jump", "sure")}


def paths(results: Results, runs: Sequence[Run], slot: str) -> Picture:
    """A path in a line: between two z, and where there are labels between two labels."""
    rows, number = {}, len(runs[0].classes)
    for found in runs:
        images = previews(results, found, "paths", slot=slot)
        points = len(images) // number // (1 + ("changes_labels" in found.values))
        strips = [mosaic(block, points) for block in images.reshape(-1, number * points, *images.shape[1:])]
        rows[name_of(found)] = strips
    shown = max(len(strips) for strips in rows.values())
    rows = {name: [*strips, None][:shown] for name, strips in rows.items()}
    return SHARED("inside_strips").sheet(rows, [f"between {title}" for title in PATHS.values()][:shown])


def _blocks(results: Results, found: Run, kind: str, slot: str, count: int) -> list[list[NDArray[np.uint8]]]:
    """A run's picture cut into its `count` blocks of rows, each into the images of every class, two in a line."""
    images, number = previews(results, found, kind, slot=slot), len(found.classes)
    cells = images.reshape(count, -1, number, *images.shape[1:])
    return [[mosaic(block[:, column], 2) for column in range(number)] for block in cells]

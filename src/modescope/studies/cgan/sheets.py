"""Study 3's images, as sheets with a column for every digit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modescope.data.prepared import load_prepared
from modescope.pictures import mosaic
from modescope.report.figures import image_sheet
from modescope.report.page import Picture
from modescope.report.results import Results, Run
from modescope.report.trainings import previews
from modescope.studies.cgan.rows import (
    STACKED_REAL,
    UNLABELLED,
    Row,
    digits,
    labelled_rows,
    published,
    run,
    shown,
    stacked_run,
)

SLOT = "grey"
SAMPLES, TILE_COLUMNS = 8, 2  # of a digit in the figure of samples
PER_CLASS = 5
WIDE = 16  # images in a line without labels

Images = NDArray[np.uint8]


def samples(results: Results) -> Picture:
    """Figure 8.1: training images and the last previews of the rows that figures compare, a block for every digit."""
    rows = shown(results)
    data, count = load_prepared(results.folders.data / SLOT / "train.safetensors"), len(digits(results))
    real = [data.images[data.labels == digit][:SAMPLES, 0].numpy() for digit in range(count)]
    cells = [[mosaic(images, TILE_COLUMNS) for images in real]]
    cells += [[mosaic(images[:SAMPLES], TILE_COLUMNS) for images in _by_digit(results, row)] for row in rows]
    caption = "As report 2's figure 8.1: images of every row for each label, previews of the end of training, not chosen; above them training images."
    png = image_sheet(cells, ["training images", *(row.label for row in rows)], digits(results))
    return Picture("samples_cgan", "Samples", caption, "Samples of every loss, a block of images for each digit.", png)


def per_class(results: Results) -> Picture:
    """Figure 8.2: five images of each digit, of every row with labels."""
    rows = labelled_rows(results.params)
    cells = [[mosaic(images[:PER_CLASS], 1) for images in _by_digit(results, row)] for row in rows]
    caption = (
        f"As report 2's figure 8.2: {PER_CLASS} images of each digit, each of another z, of every row with labels."
    )
    png = image_sheet(cells, [row.label for row in rows], digits(results))
    return Picture(
        "per_class",
        "Five images of each digit",
        caption,
        "Five generated images of each digit, for every row with labels.",
        png,
    )


def fixed_z(results: Results) -> Picture:
    """Figure 8.3: a line of images shares its z, a column its label."""
    rows = shown(results)
    cells = [[mosaic(images, 1) for images in _by_digit(results, row, "fixed_z")] for row in rows]
    caption = "As report 2's figure 8.3: in a block, the images of a line share their z and those of a column their label. Every block has the same z."
    png = image_sheet(cells, [row.label for row in rows], digits(results))
    return Picture(
        "fixed_z", "Fixed z, every label", caption, "Grids of images: a line has one z, a column one label.", png
    )


def one_z(results: Results) -> Picture:
    """Figure 10.1: what every loss makes of the same z, for every label."""
    rows = shown(results)
    cells = [[images[0] for images in _by_digit(results, row, "fixed_z")] for row in rows]
    caption = "As report 2's figure 10.1, for every digit in place of one: what each row makes of the same z, the first of the figure above."
    png = image_sheet(cells, [row.label for row in rows], digits(results), scale=3)
    return Picture(
        "one_z", "One z through every loss", caption, "The same z through every loss, with all ten labels.", png
    )


def unlabelled_samples(results: Results) -> Picture:
    """The last previews of the rows without labels."""
    runs = {row.config.loss: run(results, row) for row in published(results.params, UNLABELLED)}
    caption = "Images of every loss without labels, previews of the end of training, not chosen."
    return Picture(
        "samples_dcgan",
        "Samples without labels",
        caption,
        "Samples of every loss without labels.",
        _lines(results, runs),
    )


def stacked_samples(results: Results) -> Picture:
    """The last previews of every training on stacked digits, under stacked test digits."""
    runs = {"test digits": results.runs[STACKED_REAL]} | {
        loss: results.runs[stacked_run(loss)] for loss in results.params.stacked.losses
    }
    caption = "Stacked digits: each colour channel is a digit of its own. Previews of the end of training, not chosen; above them test digits."
    return Picture(
        "stacked_samples",
        "Samples of stacked digits",
        caption,
        "Samples of three digits stacked as colour channels.",
        _lines(results, runs),
    )


def _by_digit(results: Results, row: Row, kind: str = "samples") -> Sequence[Images]:
    """A preview's images for every digit: image i is of digit i modulo the number of digits."""
    images, count = previews(results, run(results, row), kind, slot=SLOT), len(digits(results))
    return [images[digit::count] for digit in range(count)]


def _lines(results: Results, runs: dict[str, Run]) -> bytes:
    """A sheet of every run's preview, `WIDE` images in a line."""
    return image_sheet(
        [[mosaic(previews(results, found, slot=SLOT), WIDE)] for found in runs.values()], list(runs), [""]
    )

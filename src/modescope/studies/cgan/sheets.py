"""Study 3's images, as sheets with a column for every class."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modescope.data.prepared import load_prepared
from modescope.pictures import mosaic
from modescope.report.figures import Picture
from modescope.report.results import Run
from modescope.report.trainings import previews
from modescope.studies.cgan.rows import STACKED_REAL, TEXTS, UNLABELLED, CganRows, Row

SLOT = "grey"
SAMPLES, TILE_COLUMNS = 8, 2  # of a class in the figure of samples
PER_CLASS = 5
WIDE = 16  # images in a line without labels


def samples(results: CganRows) -> Picture:
    """Figure 8.1: training images and the last previews of the rows that figures compare, a block for every class."""
    data, digits = load_prepared(results.folders.data / SLOT / "train.safetensors"), results.digits
    real = [data.images[data.labels == digit][:SAMPLES, 0].numpy() for digit in range(len(digits))]
    blocks = {"training images": real} | {row.label: _by_digit(results, row) for row in results.shown}
    rows = {label: [mosaic(images[:SAMPLES], TILE_COLUMNS) for images in block] for label, block in blocks.items()}
    return TEXTS("samples_cgan").sheet(rows, digits)


def per_class(results: CganRows) -> Picture:
    """Figure 8.2: five images of each class, of every row with labels."""
    rows = {row.label: [mosaic(i[:PER_CLASS], 1) for i in _by_digit(results, row)] for row in results.labelled}
    return TEXTS("per_class").sheet(rows, results.digits)


def fixed_z(results: CganRows) -> Picture:
    """Figure 8.3: a line of images shares its z, a column its label."""
    shown = [*results.shown, *(text for text, _ in results.started)]
    rows = {row.label: [mosaic(i, 1) for i in _by_digit(results, row, "fixed_z")] for row in shown}
    return TEXTS("fixed_z").sheet(rows, results.digits)


def unlabelled_samples(results: CganRows) -> Picture:
    """The last previews of the rows without labels."""
    rows = _lines(results, {row.config.loss: row.run for row in results.published(UNLABELLED)})
    return TEXTS("samples_dcgan").sheet(rows, [""])


def stacked_samples(results: CganRows) -> Picture:
    """The last previews of every run on stacked digits, under stacked test digits."""
    rows = _lines(results, {f"test {results.words['images']}": results.runs[STACKED_REAL], **results.stacked})
    return TEXTS("stacked_samples", **results.words).sheet(rows, [""])


def _by_digit(results: CganRows, row: Row, kind: str = "samples") -> Sequence[NDArray[np.uint8]]:
    """A preview's images for every digit: image i is of digit i modulo the number of digits."""
    images, count = previews(results, row.run, kind, slot=SLOT), len(results.digits)
    return [images[digit::count] for digit in range(count)]


def _lines(results: CganRows, runs: Mapping[str, Run]) -> dict[str, list[NDArray[np.uint8]]]:
    """Every run's preview, `WIDE` images in a line."""
    return {label: [mosaic(previews(results, found, slot=SLOT), WIDE)] for label, found in runs.items()}

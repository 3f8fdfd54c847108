"""Images that somebody brings: read from an .npz file or a folder, checked, never guessed at."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modescope.data.arrays import IMAGES, LABELS, read_arrays
from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.scoring.folders import read_folder

LOWEST = {"unit": 0.0, "signed": -1.0}  # of floats up to 1, by --range
SLACK = 1e-4  # that rounding may put a float outside its range


class Given(NamedTuple):
    """images: (N, C, H, W) uint8; labels: (N,) int64, the classes that they are meant to be of, where that is said.

    files: what they were read from; skipped: a line for each file that could not be.
    """

    images: Tensor
    labels: Tensor | None
    files: Sequence[Path]
    skipped: Sequence[str] = ()


def read_images(
    path: Path, shape: tuple[int, int, int], classes: Sequence[str], values: str | None = None, skip: bool = False
) -> Given:
    """The images of an .npz file or of a folder.

    Args:
        shape: (C, H, W) that they must have.
        classes: names that labels are an index into, and folders may have.
        values: `unit` or `signed`, where floats might be either.
        skip: leave out a folder's broken files, which are refused otherwise.

    Raises:
        UserError: they are none, of another shape or range, or their labels are no classes.
    """
    if values not in (None, *LOWEST):
        raise UserError(f"--range {values} is unknown: say unit for floats in [0, 1], signed for [-1, 1]")
    if path.is_dir():
        images, labels, files, skipped = read_folder(path, shape, classes, skip)
        return Given(torch.from_numpy(images), None if labels is None else torch.tensor(labels), files, skipped)
    if path.suffix != ".npz" or not path.is_file():
        raise UserError(f"{path} is neither a folder nor an .npz file: name one with images")
    arrays = read_arrays(path)
    images = to_levels(arranged(arrays[IMAGES], shape, path), values, path)
    labels = checked_labels(arrays[LABELS], len(images), len(classes), path) if LABELS in arrays else None
    return Given(images, labels, [path])


def arranged(images: NDArray, shape: tuple[int, int, int], path: Path) -> NDArray:
    """(N, C, H, W) of images whose channels come first, last, or (grey ones) not at all."""
    channels, height, width = shape
    found = images.shape[1:]
    if found == shape:
        return images
    if found == (height, width, channels):
        return np.moveaxis(images, -1, 1)
    if channels == 1 and found == (height, width):
        return images[:, None]
    wanted = f"(N, {channels}, {height}, {width}) or (N, {height}, {width}, {channels})"
    raise UserError(f"{path} holds images of shape {images.shape}, this study's are {wanted}: resize them")


def to_levels(images: NDArray, values: str | None, path: Path) -> Tensor:
    """uint8 of images, which are uint8 or floats in [0, 1] or [-1, 1]."""
    if images.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(images))
    if images.dtype.kind != "f":
        raise UserError(f"{path} holds images of type {images.dtype}: save them as uint8, or as floats in [0, 1]")
    if not np.isfinite(images).all():
        raise UserError(f"{path} holds NaN or infinity: the generator diverged, or the file is damaged")
    low, high = float(images.min()), float(images.max())
    floats = f"{path} holds floats from {low:.4g} to {high:.4g}"
    if values is None and low >= 0 and high <= 1 + SLACK:
        raise UserError(f"{floats}, of [0, 1] or of [-1, 1]: say which with --range unit or --range signed")
    lowest = LOWEST[values or "signed"]
    if low < lowest - SLACK or high > 1 + SLACK:
        raise UserError(f"{floats}, outside [{lowest:g}, 1]: bring them into [0, 1] or [-1, 1], or save uint8")
    return to_uint8(torch.from_numpy(np.ascontiguousarray(images, np.float32)), lowest)


def checked_labels(labels: NDArray, count: int, num_classes: int, path: Path) -> Tensor:
    """(N,) int64. Raises UserError for others than the study's classes, one an image."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        found = f"{labels.shape} {labels.dtype}"
        raise UserError(f"{path} holds labels {found} for {count} images: save one integer an image, or --no-labels")
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside):
        raise UserError(f"{path} holds the label {outside[0]}, outside 0..{num_classes - 1}: leave such images out")
    return torch.from_numpy(labels.astype(np.int64))


def as_used(given: Given, labels: bool | None, path: Path) -> Given:
    """With what labels there are, or (`labels` false) without. Raises UserError where they are asked for in vain."""
    if labels and given.labels is None:
        raise UserError(f"{path} says no labels: an .npz file has an array `{LABELS}`, a folder one folder per class")
    return given._replace(labels=None) if labels is False else given

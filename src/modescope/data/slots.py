"""Somebody's own images as the train and the test set of a slot."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from modescope.config import OwnImages
from modescope.data.own import TEST, TRAIN, WHOLE, Picture, class_names, digest_of, list_own
from modescope.data.pictures import fitted, named
from modescope.data.prepared import Dataset
from modescope.data.splits import draw_split
from modescope.errors import UserError
from modescope.files import root

SHAPES = {"rgb": (3, 32, 32), "grey": (1, 28, 28)}  # (C, H, W) of a slot's images
Splits = dict[str, Dataset]


class ReadImage(NamedTuple):
    """An image that could be read: as it lies there, size (width, height) and Pillow's mode, and pixels (C, H, W) uint8
    as its slot has it.
    """

    picture: Picture
    size: tuple[int, int]
    mode: str
    pixels: NDArray[np.uint8]

    @property
    def content(self) -> str:
        """A digest of the pixels: equal for exact duplicates."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


def read_all(pictures: Sequence[Picture], slot: str) -> tuple[list[ReadImage], list[str]]:
    """What can be read of some images, in their order, and a line for each that cannot."""
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        looks = pool.map(partial(_read, shape=SHAPES[slot]), pictures)
        found = list(tqdm(looks, "reading images", len(pictures), unit=" images", disable=None))
    return [each for each in found if isinstance(each, ReadImage)], [each for each in found if isinstance(each, str)]


def _read(picture: Picture, shape: tuple[int, int, int]) -> ReadImage | str:
    try:
        with picture.open() as opened:
            pixels = np.asarray(fitted(opened, *shape[:2]))
            channels_first = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
            return ReadImage(picture, opened.size, opened.mode, channels_first)
    except Exception as error:  # Pillow names no errors of its own
        return f"{picture.name} ({' '.join(str(error).split())[:100] or type(error).__name__})"


def own_place(folder: str) -> Path:
    """Where own images lie: a path relative to the repository, to the home folder (~), or absolute."""
    return root() / Path(folder).expanduser()


def own_splits(own: OwnImages, slot: str) -> Splits:
    """The "train" and the "test" set of a slot.

    Raises UserError for images that cannot be read, and for other images than `own.digest` was made of.
    """
    place = own_place(own.folder)
    listed = list_own(place)
    if digest_of(place, listed) != own.digest:
        raise UserError(
            f"{place} holds other images than datasets.{slot} of params.yaml was written for: "
            f"look at them with `{own.command}`"
        )
    classes, read = class_names(listed), {}
    for split, pictures in listed.items():
        read[split], broken = read_all(pictures, slot)
        refuse_broken(broken, own.skip_broken)
    parts = apart(read, classes, own.test_share, own.seed)
    return {split: _dataset(found, classes, place) for split, found in parts.items()}


def refuse_broken(broken: Sequence[str], skip: bool) -> None:
    """Raises UserError that names images which cannot be read."""
    if broken and not skip:
        which = "it" if len(broken) == 1 else "them"
        raise UserError(f"{named(broken)} cannot be read: mend or delete {which}, or `modescope data --skip-broken`")


def apart(
    read: dict[str, list[ReadImage]], classes: Sequence[str], share: float, seed: int
) -> dict[str, list[ReadImage]]:
    """Training and test images, as they lie apart, or by `held_out`. Raises UserError for a class that lacks either."""
    if WHOLE in read:
        is_test = held_out(_labels(read[WHOLE], classes), classes, share, seed).tolist()
        pairs = list(zip(read[WHOLE], is_test, strict=True))
        read = {split: [each for each, tests in pairs if tests == (split == TEST)] for split in (TRAIN, TEST)}
    for split, found in read.items():
        counts = Counter(each.picture.label for each in found)
        lacking = [name for name in classes if not counts[name]]
        if lacking:
            raise UserError(f"no image of class {lacking[0]} is left for the {split} set: add some, or leave it out")
    return read


def held_out(labels: Tensor, classes: Sequence[str], share: float, seed: int) -> Tensor:
    """(N,) bool: which images are the test set, `share` of each class, at least one, drawn by `seed`.

    Raises UserError for a class without images.
    """
    counted = torch.bincount(labels, minlength=len(classes)).tolist()
    counts = {name: max(1, round(share * count)) for name, count in zip(classes, counted, strict=True)}
    is_test = torch.zeros(len(labels), dtype=torch.bool)
    is_test[draw_split(labels, classes, counts, seed, "test").indices] = True
    return is_test


def _labels(read: Sequence[ReadImage], classes: Sequence[str]) -> Tensor:
    numbers = {name: number for number, name in enumerate(classes)}
    return torch.tensor([numbers[each.picture.label] for each in read], dtype=torch.int64)


def _dataset(read: Sequence[ReadImage], classes: tuple[str, ...], place: Path) -> Dataset:
    images = torch.from_numpy(np.stack([each.pixels for each in read]))
    kind = "folder" if place.is_dir() else place.suffix[1:]
    return Dataset(place.stem, kind, images, _labels(read, classes), classes)

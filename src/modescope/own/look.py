"""A first look at somebody's own images: what there is, what will be changed, and what stands in the way."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from modescope.data.own import TEST, TRAIN, WHOLE, class_names, digest_of, list_own
from modescope.data.pictures import named
from modescope.data.slots import SHAPES, ReadImage, apart, read_all

FEW = 100  # training images of a class below which a judge is coarse


class Look(NamedTuple):
    """What lies in a place.

    Attributes:
        read: "train" and "test", as a slot has them.
        broken: a line for each image that cannot be read.
        was_apart: whether train and test lie apart there.
        digest: of all files.
    """

    place: Path
    classes: tuple[str, ...]
    read: Mapping[str, list[ReadImage]]
    broken: list[str]
    was_apart: bool
    digest: str

    def counts(self, split: str) -> dict[str, int]:
        """Images of each class, in the classes' order."""
        counted = Counter(each.picture.label for each in self.read[split])
        return {name: counted[name] for name in self.classes}


def look_at(place: Path, share: float, seed: int) -> Look:
    """Read all images of a place. Raises UserError for what no study can run on."""
    listed = list_own(place)
    classes, read, broken = class_names(listed), {}, []
    for split, pictures in listed.items():
        read[split], faults = read_all(pictures, next(iter(SHAPES)))
        broken += faults
    parts = apart(read, classes, share, seed)
    return Look(place, classes, parts, broken, WHOLE not in listed, digest_of(place, listed))


def described(look: Look) -> list[str]:
    """A look as lines of text."""
    train, test = look.counts(TRAIN), look.counts(TEST)
    split = "as they lie there" if look.was_apart else "split by seed, class by class"
    head = f"{look.place.stem}: {len(look.classes)} classes, {sum(train.values()):,} training images and"
    width = max(len("class"), *map(len, look.classes))
    table = [f"  {'class':{width}}  {'train':>7}  {'test':>7}"]
    table += [f"  {name:{width}}  {train[name]:>7,}  {test[name]:>7,}" for name in look.classes]
    every = [*look.read[TRAIN], *look.read[TEST]]
    return [
        f"{head} {sum(test.values()):,} test images ({split})",
        *table,
        *_sizes(every),
        f"modes: {_modes(every)}",
        *([f"cannot be read, {len(look.broken)}: {named(look.broken)}"] if look.broken else []),
        *_duplicates(look),
        _judgement(train, test),
    ]


def _sizes(read: Sequence[ReadImage]) -> Iterator[str]:
    sizes = Counter(each.size for each in read)
    (least, most), (commonest, count) = (min(sizes), max(sizes)), sizes.most_common(1)[0]
    common = f", most often {_size(commonest)} ({count:,} images)" if least != most else ""
    yield f"sizes: {_size(least)}{f' to {_size(most)}' if least != most else ''}{common}"
    losses = [1 - min(size) / max(size) for size in sizes.elements()]
    cropped, shapes = (
        sum(loss > 0 for loss in losses),
        " and ".join(f"{side} x {side}" for _, side, _ in SHAPES.values()),
    )
    lost = f"{cropped:,} are no squares and lose their ends, up to {max(losses):.0%} of an image; " if cropped else ""
    small = sum(min(size) < max(side for _, side, _ in SHAPES.values()) for size in sizes.elements())
    enlarged = f"; {small:,} are smaller and become blurred" if small else ""
    yield f"  {lost}all become {shapes}{enlarged}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _modes(read: Sequence[ReadImage]) -> str:
    notes = {"L": "grey: three equal channels for rgb", "RGB": "colour: its luma for grey"}
    counts = Counter(each.mode for each in read).most_common()
    return ", ".join(
        f"{count:,} {mode} ({notes.get(mode, 'converted; transparent is white')})" for mode, count in counts
    )


def _duplicates(look: Look) -> Iterator[str]:
    """Images of equal pixels, once they are fitted."""
    places: dict[str, list[tuple[str, ReadImage]]] = {}
    for split, read in look.read.items():
        for each in read:
            places.setdefault(each.content, []).append((split, each))
    groups = [found for found in places.values() if len(found) > 1]
    for what, chosen in {
        "exact duplicates": groups,
        "in train and in test": [found for found in groups if len({split for split, _ in found}) > 1],
        "of two classes": [found for found in groups if len({each.picture.label for _, each in found}) > 1],
    }.items():
        if chosen:
            pairs = [" = ".join(each.picture.name for _, each in found[:2]) for found in chosen]
            yield f"{what}, {sum(len(found) - 1 for found in chosen):,}: {named(pairs)}"
    if not groups:
        yield "exact duplicates: none"


def _judgement(train: Mapping[str, int], test: Mapping[str, int]) -> str:
    """Whether a judge can be trained on so few, and how well its accuracy will be known."""
    scarcest = min(train, key=lambda name: train[name])
    error = 2 * math.sqrt(0.25 / sum(test.values()))
    known = f"its accuracy will be known to {100 * error:.0f} points (two standard errors)"
    if train[scarcest] < FEW:
        return f"judge: coarse, {scarcest} has {train[scarcest]} training images, {FEW} a class are better; {known}"
    return f"judge: every class has {FEW} training images or more; {known}"

"""Imbalanced and long-tailed splits: which training images a model sees, as a seeded draw without replacement per
class.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from modescope.data.order import random_order
from modescope.data.prepared import Dataset
from modescope.errors import UserError, blaming
from modescope.files import read_json, write_json

BALANCED = "balanced"


@dataclass(frozen=True)
class Split:
    """Some of the images of a prepared train file.

    Attributes:
        name: `balanced`, `split1` ...
        classes: the classes drawn from, in the order of the study.
        counts: images per class, in the order of `classes`.
        seed: what the draw depended on besides the labels.
        rho: of a long-tailed split, the ratio of the largest to the smallest class that was asked for; else None.
        indices: (sum of counts,) int64, rows of the prepared train file, in an order that mixes the classes. The
            official CIFAR-10 and the parquet files order their rows differently, so the indices hold for the data they
            were drawn from.
    """

    name: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    seed: int
    indices: Tensor
    rho: float | None = None

    @property
    def ratio(self) -> float:
        """Imbalance ratio IR: largest count / smallest count."""
        return max(self.counts) / min(self.counts)

    def measured_against(self, train: Dataset) -> "Split":
        """The images that models of this split are measured against: its own, or for a long-tailed split all of
        `train`, whose classes are balanced (the protocol of long-tailed generation)."""
        return self if self.rho is None else draw_split(train.labels, train.classes, None, self.seed)

    @property
    def digest(self) -> str:
        """sha256 hex of the indices as little-endian int64."""
        return hashlib.sha256(self.indices.numpy().astype("<i8").tobytes()).hexdigest()

    def select(self, train: Dataset) -> tuple[Tensor, Tensor]:
        """The split's images (n, C, H, W) uint8 and labels (n,) int64, out of the train set that it was drawn from.

        Raises:
            UserError: these are other data; the classes do not come out as drawn.
        """
        is_inside = int(self.indices.max()) < len(train.labels)
        labels = train.labels[self.indices] if is_inside else train.labels[:0]
        found = [
            int((labels == train.classes.index(name)).sum()) if name in train.classes else 0 for name in self.classes
        ]
        if tuple(found) != self.counts:
            raise UserError(f"split {self.name} was drawn from other data than {train.name}: run `dvc repro split`")
        return train.images[self.indices], labels

    def save(self, path: Path) -> None:
        """Write JSON, atomically: name, classes, counts, ratio, seed, indices, and rho where there is one."""
        content = {
            "name": self.name,
            "classes": list(self.classes),
            "counts": list(self.counts),
            "ratio": self.ratio,
            "seed": self.seed,
            "indices": self.indices.tolist(),
        }
        write_json(path, content if self.rho is None else {**content, "rho": self.rho})

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Raises UserError if the file is missing or is no split."""
        content = read_json(path, "no split", name=str, classes=list, counts=list, seed=int, indices=list)
        with blaming(f"{path} is no split", "delete it and run `dvc repro split`"):
            indices = torch.tensor(content["indices"])
            if indices.dtype != torch.int64 or indices.ndim != 1 or int(indices.min()) < 0:
                raise ValueError(f"indices {tuple(indices.shape)} of {indices.dtype}")
            return cls(
                content["name"],
                tuple(content["classes"]),
                tuple(content["counts"]),
                content["seed"],
                indices,
                content.get("rho"),
            )


def draw_split(
    labels: Tensor, classes: Sequence[str], counts: Mapping[str, int] | None, seed: int, name: str = BALANCED
) -> Split:
    """Draw images without replacement, so many of each class.

    All images are put in one random order; the first `counts[c]` of class c are taken, in that order. So splits of one
    seed share as many images as their counts allow, and differ in nothing but the counts.

    Args:
        labels: (N,) int64, the whole training set's.
        classes: names of the labels' values.
        counts: images per class name; None takes every image of every class.
        seed: >= 0.
        name: of the split.

    Raises:
        UserError: a class is unknown, or too small; a count is not positive.
    """
    available = dict(zip(classes, torch.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    counts = available if counts is None else counts
    for wanted, count in counts.items():
        if wanted not in available:
            raise UserError(f"split {name}: unknown class {wanted!r}; the data has {', '.join(classes)}")
        if count < 1:
            raise UserError(f"split {name}: {count} images of class {wanted}; every count must be at least 1")
        if count > available[wanted]:
            raise UserError(
                f"split {name}: class {wanted} is too small, it has {available[wanted]} images and needs {count}"
            )
    order = random_order(len(labels), seed)
    taken = torch.zeros(len(labels), dtype=torch.bool)
    for wanted, count in counts.items():
        taken[order[labels[order] == list(classes).index(wanted)][:count]] = True
    return Split(name, tuple(counts), tuple(counts.values()), seed, order[taken[order]])


def long_tailed_counts(largest: int, num_classes: int, rho: float) -> list[int]:
    """Images per class n_i = largest * rho^(-i / (K - 1)), rounded down: the exponential profile of Cao et al. 2019
    (LDAM, arXiv:1906.07413).

    Args:
        largest: images of class 0.
        num_classes: K >= 2.
        rho: largest / smallest, >= 1.
    """
    return [math.floor(largest * rho ** (-index / (num_classes - 1)) + 1e-9) for index in range(num_classes)]


def draw_splits(
    train: Dataset,
    classes: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    total: int,
    seed: int,
    long_tailed: Mapping[str, float] = MappingProxyType({}),
) -> list[Split]:
    """`balanced`, which is every image of every class, the imbalanced splits of a plan, and long-tailed ones of all
    classes.

    Args:
        train: prepared train set.
        classes: the classes that the imbalanced splits draw from.
        counts: split name -> images per class, in the order of `classes`.
        total: images of every imbalanced split.
        seed: of every draw.
        long_tailed: split name -> rho; the data set's classes in its order, the first with as many images as the
            scarcest has.

    Raises:
        UserError: a split cannot be drawn; says which and why.
    """
    for name, numbers in counts.items():
        _check_plan(name, classes, numbers, total)
    plans = {BALANCED: None} | {name: dict(zip(classes, numbers, strict=True)) for name, numbers in counts.items()}
    drawn = [draw_split(train.labels, train.classes, plan, seed, name) for name, plan in plans.items()]
    return drawn + [_draw_long_tailed(train, name, rho, seed) for name, rho in long_tailed.items()]


def _draw_long_tailed(train: Dataset, name: str, rho: float, seed: int) -> Split:
    if name == BALANCED:
        raise UserError(f"split {name} is always every image of every class: choose another name in split.long_tailed")
    largest = int(torch.bincount(train.labels, minlength=len(train.classes)).min())
    plan = dict(zip(train.classes, long_tailed_counts(largest, len(train.classes), rho), strict=True))
    return replace(draw_split(train.labels, train.classes, plan, seed, name), rho=rho)


def _check_plan(name: str, classes: Sequence[str], counts: Sequence[int], total: int) -> None:
    if name == BALANCED:
        raise UserError(f"split {name} is always every image of every class: remove it from split.counts")
    if len(set(classes)) < len(classes):
        raise UserError(f"split {name}: a class is named twice in split.classes: {', '.join(classes)}")
    if len(counts) != len(classes):
        raise UserError(f"split {name} has {len(counts)} counts for {len(classes)} classes ({', '.join(classes)})")
    if sum(counts) != total:
        raise UserError(f"split {name}: its counts sum to {sum(counts)}, split.total is {total}")


def frequency_groups(training_counts: Tensor) -> dict[str, Tensor]:
    """(K,) int64 training images per class -> the classes (int64) of `many`, `medium` and `few`.

    The most frequent three tenths of the classes, the next three, and the last four (0-2, 3-5 and 6-9 of ten), as in
    UTLO (Khorram et al. 2024).
    """
    order, num_classes = training_counts.argsort(descending=True, stable=True), len(training_counts)
    first, second = round(0.3 * num_classes), round(0.6 * num_classes)
    return {"many": order[:first], "medium": order[first:second], "few": order[second:]}

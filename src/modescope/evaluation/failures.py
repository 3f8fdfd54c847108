"""Samples that fail: the least sure and the most wrongly judged of every class, and those between two classes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

BETWEEN = 0.1  # margin between the two best classes' probabilities below which a sample lies between them


class Doubt(NamedTuple):
    """Of N images: probability and class of the best guess, `margin` to the next one's, and that one's class, (N,)."""

    sure: Tensor
    best: Tensor
    margin: Tensor
    second: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> "Doubt":
        """Of the judge's calibrated logits (N, K >= 2)."""
        values, classes = logits.double().softmax(1).topk(2)
        return cls(values[:, 0], classes[:, 0], values[:, 0] - values[:, 1], classes[:, 1])


def least_sure(doubt: Doubt, labels: Tensor, num_classes: int, count: int) -> list[Tensor]:
    """Of every class the rows of the samples whose best guess has the lowest probability."""
    rows = doubt.sure.argsort(stable=True)
    return [rows[labels[rows] == label][:count] for label in range(num_classes)]


def misjudged(doubt: Doubt, labels: Tensor, num_classes: int, count: int) -> list[Tensor]:
    """Of every class the rows of the samples that the judge sees in another, the surest first."""
    rows = doubt.sure.argsort(descending=True, stable=True)
    rows = rows[doubt.best[rows] != labels[rows]]
    return [rows[labels[rows] == label][:count] for label in range(num_classes)]


def between(doubt: Doubt, pairs: int, count: int) -> dict[tuple[int, int], Tensor]:
    """Pair of classes -> rows of samples between them, the smallest margin first; the most frequent pairs first."""
    rows = doubt.margin.argsort(stable=True)
    rows = rows[doubt.margin[rows] < BETWEEN]
    found = [tuple(sorted(both)) for both in zip(doubt.best[rows].tolist(), doubt.second[rows].tolist(), strict=True)]
    return {
        pair: torch.tensor([row for row, own in zip(rows.tolist(), found, strict=True) if own == pair])[:count]
        for pair, _ in Counter(found).most_common(pairs)
    }


def failure_metrics(doubt: Doubt, real: Doubt, classes: Sequence[str]) -> dict[str, Any]:
    """between_classes and between_classes_real: shares of samples and of real images between two classes; pairs: the
    most frequent pairs in words; sure_per_class: mean probability of the best guess, by it, 0 for a class without.
    """
    shares = [(each.margin < BETWEEN).double().mean().item() for each in (doubt, real)]
    sizes = torch.bincount(doubt.best, minlength=len(classes))
    sure = torch.bincount(doubt.best, doubt.sure, minlength=len(classes)) / sizes.clamp(min=1)
    return {
        "between_classes": shares[0],
        "between_classes_real": shares[1],
        "pairs": [f"{classes[one]} / {classes[other]}" for one, other in between(doubt, len(classes), 1)],
        "sure_per_class": sure.tolist(),
    }

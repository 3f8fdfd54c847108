"""The floor: real test images in a split's class proportions. No generator of the split should score better."""

from typing import NamedTuple

import torch
from torch import Tensor

from modescope.data.prepared import Dataset
from modescope.data.splits import Split, draw_split
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts


class Floor(NamedTuple):
    """images: (n, C, H, W) uint8; labels: (n,) int64, dataset order."""

    images: Tensor
    labels: Tensor


def floor_images(test: Dataset, split: Split, num_images: int, seed: int) -> Floor:
    """Test images, drawn without replacement in the split's class proportions.

    Neither the judge nor a generator was trained on them.

    Returns:
        n images, n = `largest_draw(...).sum()`, at most `num_images`, and their labels.
    """
    wanted = torch.zeros(len(test.classes), dtype=torch.int64)
    for name, count in zip(split.classes, split.counts, strict=True):
        wanted[test.classes.index(name)] = count
    counts = largest_draw(class_counts(test.labels, len(test.classes)), wanted, num_images).tolist()
    present = {name: count for name, count in zip(test.classes, counts, strict=True) if count}
    rows = draw_split(test.labels, test.classes, present, seed, f"floor of {split.name}").indices
    return Floor(test.images[rows], test.labels[rows])


def largest_draw(available: Tensor, wanted: Tensor, num_images: int) -> Tensor:
    """How many test images of each class make the largest set with the split's class proportions.

    Args:
        available: (K,) int64, test images per class.
        wanted: (K,) int64, the split's images per class; only their proportions count.
        num_images: the most that are wanted in all.

    Returns:
        (K,) int64 that sum to min(num_images, what the scarcest class allows); fractions go to the largest remainders.

    Raises:
        UserError: a class of the split has no test image.
    """
    present, whole = wanted > 0, wanted.sum()
    total = min(num_images, int((available[present] * whole // wanted[present]).min()))
    if total == 0:
        raise UserError(
            "no real images are left to measure the floor with: "
            "take a data set with test images of every class of the split"
        )
    counts, remainders = total * wanted // whole, total * wanted % whole
    counts[remainders.argsort(descending=True, stable=True)[: total - int(counts.sum())]] += 1
    return counts

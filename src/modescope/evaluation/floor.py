"""The floor: real images that the split does not hold, in its class proportions. No generator of the split can score better."""

import torch
from torch import Tensor

from modescope.data.prepared import Dataset
from modescope.data.splits import Split, draw_split
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts


def held_out_images(train: Dataset, test: Dataset, split: Split, num_images: int, seed: int) -> Tensor:
    """Training images outside `split`, and test images, drawn without replacement in the split's class proportions.

    Returns:
        (n, C, H, W) uint8, n = `held_out_counts(...).sum()`, at most `num_images`.
    """
    outside = torch.ones(len(train.labels), dtype=torch.bool)
    outside[split.indices] = False
    images = torch.cat([train.images[outside], test.images])
    labels = torch.cat([train.labels[outside], test.labels])
    wanted = torch.zeros(len(train.classes), dtype=torch.int64)
    for name, count in zip(split.classes, split.counts, strict=True):
        wanted[train.classes.index(name)] = count
    counts = held_out_counts(class_counts(labels, len(train.classes)), wanted, num_images).tolist()
    present = {name: count for name, count in zip(train.classes, counts, strict=True) if count}
    return images[draw_split(labels, train.classes, present, seed, f"held out of {split.name}").indices]


def held_out_counts(available: Tensor, wanted: Tensor, num_images: int) -> Tensor:
    """How many held-out images of each class make the largest set with the split's class proportions.

    Args:
        available: (K,) int64, held-out images per class.
        wanted: (K,) int64, the split's images per class; only their proportions count.
        num_images: the most that are wanted in all.

    Returns:
        (K,) int64 that sum to min(num_images, what the scarcest class allows); fractions go to the largest remainders.

    Raises:
        UserError: a class of the split has no held-out image.
    """
    present, whole = wanted > 0, wanted.sum()
    total = min(num_images, int((available[present] * whole // wanted[present]).min()))
    if total == 0:
        raise UserError("no real images are left to measure the floor with: lower split.counts, or take a larger dataset")
    counts, remainders = total * wanted // whole, total * wanted % whole
    counts[remainders.argsort(descending=True, stable=True)[: total - int(counts.sum())]] += 1
    return counts

"""Class consistency: does an image that was meant to be of a class look like it to the judge?"""

from typing import Any

import torch
from torch import Tensor

from modescope.evaluation.class_share import class_counts
from modescope.evaluation.features import check_features


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """(N, K) judge's logits and (N,) intended classes -> (K, K) int64 counts, row: intended, column: judged.

    Raises ValueError for other shapes.
    """
    check_features(logits, "logits")
    num_classes = logits.shape[1]
    class_counts(labels, num_classes)
    if len(labels) != len(logits):
        raise ValueError(f"expected {len(logits)} labels, one per image, received {len(labels)}")
    pairs = torch.bincount(labels * num_classes + logits.argmax(1), minlength=num_classes**2)
    return pairs.view(num_classes, num_classes)


def class_consistency(counts: Tensor) -> dict[str, Any]:
    """The share of images judged as intended, overall and per class, 0 for a class without images.

    Args:
        counts: of `confusion`.
    """
    right = counts.diagonal().double()
    per_class = right / counts.sum(1).clamp(min=1)
    return {
        "class_consistency": (right.sum() / counts.sum()).item(),
        "class_consistency_per_class": per_class.tolist(),
        "confusion": counts.tolist(),
    }

"""How often the judge sees each class, against how often it was trained on: the direct measure of mode collapse."""

import torch
from torch import Tensor

from modescope.evaluation.features import check_features


def class_counts(labels: Tensor, num_classes: int) -> Tensor:
    """(N,) int64 labels in [0, K) -> (K,) int64 counts, dataset order. Raises ValueError for other labels."""
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(f"expected labels (N,) int64, received {tuple(labels.shape)} {labels.dtype}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        found = f"{labels.min().item()} to {labels.max().item()}"
        raise ValueError(f"expected labels in [0, {num_classes}), received {found}")
    return torch.bincount(labels, minlength=num_classes)


def judged_counts(logits: Tensor) -> Tensor:
    """(N, K) logits -> (K,) int64: how many images the judge puts into each class."""
    check_features(logits, "logits")
    return class_counts(logits.argmax(dim=1), logits.shape[1])


def share(counts: Tensor) -> Tensor:
    """(K,) counts -> (K,) float64 fractions that sum to 1."""
    return counts.double() / counts.sum()


def total_variation(counts: Tensor, reference_counts: Tensor) -> float:
    """Half the sum of absolute differences of the shares: the fraction of images in the wrong class, in [0, 1]."""
    _check_same_classes(counts, reference_counts)
    return 0.5 * (share(counts) - share(reference_counts)).abs().sum().item()


def kl_divergence(counts: Tensor, reference_counts: Tensor) -> float:
    """KL(generated || reference) in nats, >= 0.

    Both histograms are add-one smoothed, (count + 1) / (N + K), so that absent classes stay finite.
    """
    _check_same_classes(counts, reference_counts)
    generated, reference = share(counts + 1), share(reference_counts + 1)
    return (generated * (generated / reference).log()).sum().item()


def _check_same_classes(counts: Tensor, reference_counts: Tensor) -> None:
    if counts.ndim != 1 or counts.shape != reference_counts.shape:
        wanted = tuple(reference_counts.shape)
        raise ValueError(f"expected counts of shape {wanted} as the reference's, received {tuple(counts.shape)}")

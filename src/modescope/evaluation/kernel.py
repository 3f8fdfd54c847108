"""Kernel distance: unbiased squared MMD, kernel (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv:1801.01401)."""

import warnings

import torch
from torch import Tensor
from torchmetrics.image.kid import KernelInceptionDistance

from modescope.errors import UserError
from modescope.evaluation.features import Precomputed, check_same_width


def kernel_distance(
    reference: Tensor, generated: Tensor, subsets: int, subset_size: int, seed: int
) -> tuple[float, float]:
    """Mean and (population) standard deviation of the squared MMD over random subsets, by torchmetrics in float64.

    Args:
        reference: (M, D) floating-point features.
        generated: (N, D) floating-point features.
        subsets: how many pairs of subsets are drawn, each without replacement.
        subset_size: images per side and subset, at least 2.
        seed: decides the subsets; the global random state stays as it is.
    Raises:
        UserError: if a side has fewer than `subset_size` images (subsets are never shrunk).
        ValueError: for other shapes or dtypes.
    """
    check_same_width(reference, generated)
    smaller = min(len(reference), len(generated))
    if not 2 <= subset_size <= smaller:
        raise UserError(
            f"KID draws subsets of {subset_size} images (at least 2) "
            f"from {len(reference)} real and {len(generated)} generated: "
            f"set evaluation.kid_subset_size between 2 and {smaller} or raise evaluation.num_samples"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features in buffer")
        width = reference.shape[1]
        metric = KernelInceptionDistance(feature=Precomputed(width), subsets=subsets, subset_size=subset_size)
    metric.update(reference.double(), real=True)
    metric.update(generated.double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, std = metric.compute()
    return float(mean), float(std)

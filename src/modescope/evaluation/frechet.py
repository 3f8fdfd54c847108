"""Frechet distance of Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500, eq. 6), by torchmetrics."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from modescope.errors import UserError
from modescope.evaluation.features import Precomputed, check_features

ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class FeatureSums:
    """N features: `count` N, `total` (D,) their sum, `outer` (D, D) the sum of x x^T; float64."""

    count: int
    total: Tensor
    outer: Tensor


def feature_sums(features: Tensor) -> FeatureSums:
    """Sums of (N, D) floating-point features. Raises ValueError for another shape or dtype."""
    check_features(features, "features")
    width = features.shape[1]
    total = torch.zeros(width, dtype=torch.float64)
    outer = torch.zeros(width, width, dtype=torch.float64)
    for rows in features.split(ROWS_AT_ONCE):
        rows = rows.double()
        total += rows.sum(0)
        outer += rows.T @ rows
    return FeatureSums(len(features), total, outer)


def frechet_distance(reference: FeatureSums, generated: Tensor) -> float:
    """Squared Frechet (2-Wasserstein) distance in float64, unbiased covariances, in squared units of the features.

    Args:
        reference: `feature_sums` of the reference set.
        generated: (N, D) floating-point features, N >= 2.
    Raises:
        UserError: for fewer than two samples on a side.
        ValueError: if the widths differ.
    """
    check_features(generated, "generated features")
    width = len(reference.total)
    if generated.shape[1] != width:
        wanted = f"width {width} as the reference's"
        raise ValueError(f"expected generated features of {wanted}, received {generated.shape[1]}")
    if min(reference.count, len(generated)) < 2:
        found = f"{reference.count} real and {len(generated)} generated"
        raise UserError(f"FID needs 2 images a side, found {found}: raise evaluation.num_samples")
    metric = FrechetInceptionDistance(feature=Precomputed(width))
    metric.load_state_dict(
        {
            "real_features_sum": reference.total,
            "real_features_cov_sum": reference.outer,
            "real_features_num_samples": torch.tensor(reference.count),
        }
    )
    for rows in generated.split(ROWS_AT_ONCE):
        metric.update(rows.double(), real=False)
    return float(metric.compute())


def rank_warnings(name: str, reference: FeatureSums, num_generated: int) -> list[str]:
    """A line for each side with N <= D images of D features, whose covariance has not full rank."""
    width = len(reference.total)
    return [
        f"{name}: {count} {side} leave a covariance of {width} features rank-deficient"
        for side, count in (("reference images", reference.count), ("measured images", num_generated))
        if count <= width
    ]

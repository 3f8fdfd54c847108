"""Which real images no sample is near to: coverage (Naeem et al. 2020) by class and by cluster, image by image."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from modescope.evaluation.copying import nearest
from modescope.evaluation.prdc import neighbour_radii

LOST = 0.1  # a cluster of which less is covered counts as lost
TINY = 1e-12


class Reach(NamedTuple):
    """Of every real image: `far` (M,) float64, the distance to the nearest sample as a part of that to the k-th real
    neighbour, 1 or more where no sample is near; and `samples` (M,) int64, which sample that is."""

    far: Tensor
    samples: Tensor


def reach(real: Tensor, generated: Tensor, neighbours: int, device: torch.device | str = "cpu") -> Reach:
    """Features (M, D) of real images and (N, D) of samples; `neighbours` is k. M > k."""
    radii = neighbour_radii(real.double(), neighbours)
    found = nearest(real, generated, device)
    return Reach(found.distances / radii.clamp(min=TINY), found.rows)


def coverage_metrics(far: Tensor, labels: Tensor, cells: Tensor, num_classes: int, clusters: int) -> dict[str, Any]:
    """Shares of real images that a sample is near to.

    Args:
        far: (M,) of `reach`.
        labels, cells: (M,) int64, class and cluster of every real image.

    Returns:
        coverage_per_class (K,) and coverage_per_cluster (K * clusters,), 0 where there is no real image; clusters_lost:
        those with real images of which less than a tenth is covered; num_clusters: those with real images.
    """
    covered = (far < 1).double()
    per_class, _ = _means(covered, labels, num_classes)
    per_cluster, present = _means(covered, cells, num_classes * clusters)
    return {
        "coverage_per_class": per_class.tolist(),
        "coverage_per_cluster": per_cluster.tolist(),
        "clusters_lost": int((per_cluster[present] < LOST).sum()),
        "num_clusters": int(present.sum()),
    }


def _means(values: Tensor, groups: Tensor, count: int) -> tuple[Tensor, Tensor]:
    sizes = torch.bincount(groups, minlength=count)
    return torch.bincount(groups, values, minlength=count) / sizes.clamp(min=1), sizes > 0


def most_lost(far: Tensor, labels: Tensor, num_classes: int, count: int) -> list[Tensor]:
    """Of every class the rows of `count` real images at most that no sample is near to, the loneliest first."""
    rows = far.argsort(descending=True, stable=True)
    rows = rows[far[rows] >= 1]
    return [rows[labels[rows] == label][:count] for label in range(num_classes)]

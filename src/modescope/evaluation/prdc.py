"""Precision, recall (Kynkaanniemi et al. 2019, eq. 1-2), density and coverage (Naeem et al. 2020).

Papers: arXiv:1904.06991, arXiv:2002.09797.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from modescope.errors import UserError
from modescope.evaluation.features import check_same_width

ROWS_AT_ONCE = 400
TIE = 1e-12  # of squared lengths: float64 rounds equal distances apart by some 1e-15 of them


@dataclass(frozen=True)
class Prdc:
    """Fractions of 1 (density can exceed 1).

    For two equal distributions density and coverage are near 1, and precision equals recall.
    """

    precision: float
    recall: float
    density: float
    coverage: float


class Neighbours(NamedTuple):
    """Which image lies near which.

    Attributes:
        balls: (N,) int64, real balls around each generated image.
        recalled: (M,) bool, real images inside a generated ball.
        covered: (M,) bool, real balls that hold a generated image.
    """

    balls: Tensor
    recalled: Tensor
    covered: Tensor

    def scores(self, neighbours: int) -> Prdc:
        """Means over the images; `neighbours` is k."""
        return Prdc(
            precision=(self.balls > 0).double().mean().item(),
            recall=self.recalled.double().mean().item(),
            density=self.balls.double().mean().item() / neighbours,
            coverage=self.covered.double().mean().item(),
        )


def neighbour_radii(features: Tensor, neighbours: int) -> Tensor:
    """(N, D) float64 -> (N,) radii of open balls that reach to each row's k-th nearest other row.

    A radius is the Euclidean distance less what rounding makes of equal ones, so that a point on the surface is outside
    whichever way its distance is computed: k rows are inside, or fewer where several share the k-th distance.
    """
    nearest = [
        torch.cdist(rows, features).topk(neighbours + 1, largest=False).values for rows in features.split(ROWS_AT_ONCE)
    ]
    radii = torch.cat(nearest)[:, -1]  # the nearest of all is the row itself
    return (radii.square() - TIE * (features.norm(dim=1) + radii).square()).clamp(min=0).sqrt()


def precision_recall_density_coverage(reference: Tensor, generated: Tensor, neighbours: int) -> Prdc:
    """The four scores of `find_neighbours`."""
    return find_neighbours(reference, generated, neighbours).scores(neighbours)


def find_neighbours(reference: Tensor, generated: Tensor, neighbours: int) -> Neighbours:
    """Compare two sets of features through balls that reach to each point's k-th neighbour in its own set.

    Precision: generated images inside a real ball; recall: real images inside a generated ball; density: mean number of
    real balls around a generated image, over k; coverage: real balls that hold a generated image. Balls are open, as in
    the authors' code: a set against itself has density 1, less where distances tie. Distances are float64 and made in
    blocks of rows: 10,000 against 10,000 takes less than 0.5 GB.

    Args:
        reference: (M, D) floating-point features.
        generated: (N, D) floating-point features.
        neighbours: k >= 1.
    Raises:
        UserError: unless both sides have more than k images.
        ValueError: for other shapes or dtypes.
    """
    check_same_width(reference, generated)
    if min(len(reference), len(generated)) <= neighbours:
        raise UserError(
            f"precision and recall with {neighbours} neighbours need more images than that, "
            f"found {len(reference)} real and {len(generated)} generated: "
            "raise evaluation.num_samples and evaluation.prdc_samples"
        )
    reference, generated = reference.double(), generated.double()
    real_radii, generated_radii = neighbour_radii(reference, neighbours), neighbour_radii(generated, neighbours)
    balls_around = []
    recalled = torch.zeros(len(reference), dtype=torch.bool)
    nearest = torch.full((len(reference),), torch.inf, dtype=torch.float64)
    for rows, radii in zip(generated.split(ROWS_AT_ONCE), generated_radii.split(ROWS_AT_ONCE), strict=True):
        distances = torch.cdist(rows, reference)  # (B, M)
        balls_around.append((distances < real_radii).sum(1))
        recalled |= (distances < radii[:, None]).any(0)
        nearest = torch.minimum(nearest, distances.amin(0))
    return Neighbours(torch.cat(balls_around), recalled, nearest < real_radii)

"""Does a generator copy its training images? Nearest ones, and the test of Meehan, Chaudhuri and Dasgupta 2020.

Paper: "A non-parametric test to detect data-copying in generative models", arXiv:2004.05675.
"""

import math
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from modescope.data.order import random_order

QUERIES_AT_ONCE, ROWS_AT_ONCE = 2000, 10_000
NEAREST_OF_TEST = 0.01  # of test images: what is as near as these to a training image counts as near
LEAST_IN_A_CELL = 10  # images on either side, for the normal approximation
PLANTED = 0.1  # of the images that shall be found
HALVINGS = 9  # of test images: by chance one way in a hundred has p < 0.01


class Nearest(NamedTuple):
    """distances (N,) float64, Euclidean, and rows (N,) int64 of what is nearest."""

    distances: Tensor
    rows: Tensor


def nearest(queries: Tensor, rows: Tensor, device: torch.device | str = "cpu") -> Nearest:
    """The nearest of `rows` (M, ...) to each of `queries` (N, ...), float or uint8; an exact copy has distance 0."""
    queries, rows = queries.flatten(1), rows.flatten(1)
    found = [_nearest_row(part.to(device).float(), rows).cpu() for part in queries.split(QUERIES_AT_ONCE)]
    at = torch.cat(found)
    parts = zip(queries.split(QUERIES_AT_ONCE), at.split(QUERIES_AT_ONCE), strict=True)
    return Nearest(torch.cat([(part.double() - rows[own].double()).norm(dim=1) for part, own in parts]), at)


def _nearest_row(queries: Tensor, rows: Tensor) -> Tensor:
    best = queries.new_full((len(queries),), torch.inf)
    at = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE].to(queries.device).float()
        squares = torch.addmm(part.square().sum(1), queries, part.T, alpha=-2)  # less the query's own square
        low, place = squares.min(1)
        nearer = low < best
        best, at = torch.where(nearer, low, best), torch.where(nearer, place + start, at)
    return at


class Copying(NamedTuple):
    """C_T as published, below 0 where samples are nearer to training images than test images are, and its p-value."""

    ct: float
    p: float


def data_copying(samples: Tensor, test: Tensor, sample_cells: Tensor, test_cells: Tensor) -> Copying | None:
    """The C_T test: a Mann-Whitney U of the distances in every cell of the space, as z, in the mean over test images.

    Args:
        samples: (N,) distances of generated images to the nearest training image.
        test: (M,) of test images.
        sample_cells, test_cells: (N,) and (M,) int64, where the images lie.

    Returns:
        C_T over the cells with enough of both; p: how likely a C_T as low is, were samples and test images alike, from
        the normal approximation of independent cells. Where no cell has enough of both, the whole space is one; None
        where that is too few.
    """
    scores, weights = [], []
    for cell in test_cells.unique():
        ours, theirs = samples[sample_cells == cell], test[test_cells == cell]
        if min(len(ours), len(theirs)) >= LEAST_IN_A_CELL:
            scores.append(mann_whitney(ours, theirs))
            weights.append(len(theirs) / len(test))
    if not scores:
        few = min(len(samples), len(test)) < LEAST_IN_A_CELL
        return None if few else data_copying(samples, test, sample_cells * 0, test_cells * 0)
    ct = sum(weight * score for weight, score in zip(weights, scores, strict=True)) / sum(weights)
    deviation = math.sqrt(sum(weight**2 for weight in weights)) / sum(weights)
    return Copying(ct, 0.5 * math.erfc(-ct / deviation / math.sqrt(2)))


def mann_whitney(one: Tensor, other: Tensor) -> float:
    """z of U, the pairs in which `one` (n,) is larger than `other` (m,), ties counting half; corrected for ties."""
    pooled = torch.cat([one, other])
    values, place, counts = pooled.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place]
    n, m, total = len(one), len(other), len(pooled)
    u = ranks[:n].sum().item() - n * (n + 1) / 2
    ties = (counts.double() ** 3 - counts).sum().item() / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - ties)
    return (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


def nearer_than(samples: Tensor, test: Tensor) -> float:
    """How often a sample is nearer to a training image than a test image is, of all pairs: 0.5 where they are alike."""
    below = torch.searchsorted(test.sort().values, samples, right=True), torch.searchsorted(test.sort().values, samples)
    return 1 - (below[0] + below[1]).double().mean().item() / 2 / len(test)


def copying_metrics(
    samples: Tensor, test: Tensor, sample_cells: Tensor, test_cells: Tensor, copies: Tensor, seed: int
) -> dict[str, float]:
    """What distances to the nearest training image say, and whether the test would find copies and nothing else.

    Args:
        samples, test: (N,) and (M,), of samples and test images.
        sample_cells, test_cells: where they lie.
        copies: (T,) cells of the training images.

    Returns:
        nearer_than_test, a share of pairs; near_copies, the share of samples nearer than all but 1 % of test images,
        near_copies_test and near_copies_planted what that is by design;
        ct and ct_p of the samples; ct_test and ct_p_test of one half of the test images against the other; ct_planted
        and ct_p_planted of that half with 10 % copies of training images in it, both medians over ways to halve them.
        Without ct* where there are too few images.
    """
    found = {
        "nearer_than_test": nearer_than(samples, test),
        "near_copies": (samples < test.quantile(NEAREST_OF_TEST)).double().mean().item(),
    }
    tested = data_copying(samples, test, sample_cells, test_cells)
    found |= {} if tested is None else {"ct": tested.ct, "ct_p": tested.p}
    found |= {"near_copies_test": NEAREST_OF_TEST, "near_copies_planted": PLANTED + (1 - PLANTED) * NEAREST_OF_TEST}
    halved = [_control(test, test_cells, copies, seed, way) for way in range(HALVINGS)]
    for name, tests in zip(("test", "planted"), zip(*halved, strict=True), strict=True):
        if None not in tests:
            found |= {f"ct_{name}": median(each.ct for each in tests), f"ct_p_{name}": median(each.p for each in tests)}
    return found


def _control(
    test: Tensor, test_cells: Tensor, copies: Tensor, seed: int, way: int
) -> tuple[Copying | None, Copying | None]:
    """One half of the test images against the other, without copies in it and with some."""
    order = random_order(len(test), seed, way)
    half, rest = order[: len(test) // 2], order[len(test) // 2 :]
    planted, cells = test[half], test_cells[half]
    count = int(PLANTED * len(half))
    planted[:count], cells[:count] = 0.0, copies[random_order(len(copies), seed, way)[:count]]
    return (
        data_copying(test[half], test[rest], test_cells[half], test_cells[rest]),
        data_copying(planted, test[rest], cells, test_cells[rest]),
    )

"""Whether codes are draws of N(0, I): Kolmogorov-Smirnov per dimension, and the MMD with a p-value.

The first sees a dimension's shape alone, the second also how dimensions depend on each other.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from modescope.config.imbalance import Hybrid
from modescope.data.batches import to_unit
from modescope.data.order import random_order
from modescope.errors import UserError
from modescope.evaluation.features import FULL_FLOAT32, check_features, check_same_width
from modescope.evaluation.samplers import BATCH_SIZE

ALPHA = 0.05


def ks_tests(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Each dimension of codes (N, D) float against N(0, 1): statistics (D,) and p-values (D,), float64.

    Raises ValueError for another shape or dtype, or for values that are not finite.
    """
    from scipy.stats import kstest  # half a second, for the hybrid alone

    check_features(codes, "codes")
    results = [kstest(column, "norm") for column in codes.double().cpu().numpy().T]
    return torch.tensor([(result.statistic, result.pvalue) for result in results], dtype=torch.float64).unbind(1)


def holm(p_values: Tensor, alpha: float = ALPHA) -> Tensor:
    """Which hypotheses fall at family-wise level `alpha` (Holm 1979): p-values (D,) -> (D,) bool."""
    # The i-th smallest p-value, from 0, is held against alpha / (D - i); it falls only if all smaller ones do.
    ascending, order = p_values.sort()
    falls = ascending <= alpha / torch.arange(len(p_values), 0, -1)
    rejected = torch.empty_like(falls)
    rejected[order] = falls.cummin(0).values
    return rejected


def gaussian_kernel(points: Tensor) -> Tensor:
    """exp(-|x - y|^2 / (2 s^2)) of points (N, D) float64, s their median distance (Gretton et al. 2012): (N, N).

    Raises ValueError if half of all pairs coincide.
    """
    median = torch.pdist(points).median()
    if median == 0:
        raise ValueError("expected points that differ, received a median distance of 0")
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.div_(median).square_().div_(-2).exp_()


def mmd_test(
    codes: Tensor, normal: Tensor, permutations: int, seed: int | np.random.SeedSequence
) -> tuple[float, float]:
    """Unbiased squared MMD (Gretton et al. 2012, equation 3) of two samples, and the p-value of its permutation test.

    The kernel is computed once. With its diagonal set to 0, row sums r and a the first sample's indicator, the three
    sums of equation 3 are a'Ka, sum(K) - 2a'r + a'Ka and a'r - a'Ka: one matrix product serves every permutation.

    Args:
        codes, normal: (M, D) and (N, D) float, M and N at least 2.
        permutations: drawn by `seed`; the global random state stays as it is.
    Returns:
        MMD^2, which may be negative, and p = (1 + permutations that reach it) / (1 + permutations).
    Raises:
        ValueError: for other shapes or dtypes.
    """
    check_same_width(normal, codes)
    m, n = len(codes), len(normal)
    if min(m, n) < 2:
        raise ValueError(f"expected at least 2 codes and 2 draws, received {m} and {n}")
    kernel = gaussian_kernel(torch.cat([codes, normal]).double().cpu()).fill_diagonal_(0)
    members = np.tile(np.arange(m + n) < m, (permutations + 1, 1))
    members[1:] = np.random.default_rng(seed).permuted(members[1:], axis=1)
    first = torch.from_numpy(members).double().T  # (M + N, 1 + permutations), the samples as they are in column 0
    rows = kernel.sum(1)
    within_first, touching_first = (first * (kernel @ first)).sum(0), rows @ first
    within_second = rows.sum() - 2 * touching_first + within_first
    between = touching_first - within_first
    values = within_first / (m * (m - 1)) + within_second / (n * (n - 1)) - 2 * between / (m * n)
    return values[0].item(), (values >= values[0]).double().mean().item()


def normality(codes: Tensor, permutations: int, seed: int) -> dict[str, float]:
    """Codes (N, D) float against N(0, I), the latter as N draws by `seed`.

    Returns:
        ks_rejected: share of dimensions that the KS tests reject at 0.05 after Holm's correction. ks_max: the largest
            statistic.
        mmd, mmd_p: see `mmd_test`.
    """
    statistics, p_values = ks_tests(codes)
    draws, shuffles = np.random.SeedSequence(seed).spawn(2)  # NumPy's: torch's generator made the codes' noise
    normal = torch.from_numpy(np.random.default_rng(draws).standard_normal(tuple(codes.shape)))
    mmd, mmd_p = mmd_test(codes, normal, permutations, shuffles)
    return {
        "ks_rejected": holm(p_values).double().mean().item(),
        "ks_max": statistics.max().item(),
        "mmd": mmd,
        "mmd_p": mmd_p,
    }


def code_normality(vae: nn.Module, images: Tensor, settings: Hybrid, seed: int) -> dict[str, float]:
    """`normality` of a VAE's codes of settings.num_codes out of images (N, 3, 32, 32) uint8; the seed decides which.

    Raises UserError if there are fewer images.
    """
    if settings.num_codes > len(images):
        raise UserError(f"hybrid.num_codes is {settings.num_codes}, but there are {len(images)} images: lower it")
    chosen = random_order(len(images), seed, 1)[: settings.num_codes].to(images.device)
    return normality(draw_codes(vae, images[chosen], seed), settings.permutations, seed)


@torch.inference_mode()
def draw_codes(vae: nn.Module, images: Tensor, seed: int) -> Tensor:
    """z = mu(x) + sigma(x) * eps of images x (N, 3, 32, 32) uint8, eps by the seed: (N, D) float32 on the CPU."""
    with FULL_FLOAT32():
        outputs = [vae.encoder(to_unit(batch)) for batch in images.split(BATCH_SIZE)]
    mean, log_variance = (
        torch.cat([output[name] for output in outputs]).cpu() for name in ("embedding", "log_covariance")
    )
    return mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))


def flat(moments: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """{"vae": {"mmd": 0.1}} -> {"mmd_vae": 0.1}: `normality` of several moments as metrics."""
    return {f"{name}_{moment}": value for moment, results in moments.items() for name, value in results.items()}

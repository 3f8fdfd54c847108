import numpy as np
import pytest
import scipy.linalg
import torch

from modescope.errors import UserError
from modescope.evaluation.frechet import ROWS_AT_ONCE, feature_sums, frechet_distance, rank_warnings


def scipy_frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Heusel et al. 2017, eq. 6, with SciPy's matrix square root."""
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b).real
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariance_a + covariance_b - 2 * root)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agrees_with_scipy(dtype):
    torch.manual_seed(0)
    mix = torch.randn(12, 12, dtype=dtype)
    a, b = torch.randn(200, 12, dtype=dtype) @ mix + 3, torch.randn(150, 12, dtype=dtype).exp()
    expected = scipy_frechet_distance(a.double().numpy(), b.double().numpy())
    assert frechet_distance(feature_sums(a), b) == pytest.approx(expected, rel=1e-9)


def test_known_gaussians():
    """Equal covariances leave the squared distance of the means; scaling by s leaves (s - 1)^2 trace(cov)."""
    torch.manual_seed(0)
    features = torch.randn(500, 3, dtype=torch.float64)
    centred = features - features.mean(0)
    assert frechet_distance(feature_sums(features), features + torch.tensor([3.0, 4.0, 0.0])) == pytest.approx(
        25, rel=1e-9
    )
    assert frechet_distance(feature_sums(centred), 3 * centred) == pytest.approx(
        4 * centred.T.cov().trace().item(), rel=1e-9
    )


@pytest.mark.parametrize("count", [40, 400], ids=["rank-deficient", "full rank"])
def test_real_against_itself_is_zero(count):
    features = torch.randn(count, 50, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(feature_sums(features), features) == pytest.approx(0, abs=1e-5)


def test_sums_in_blocks_equal_sums_at_once():
    features = torch.randn(ROWS_AT_ONCE + 3, 2, generator=torch.Generator().manual_seed(0))
    sums = feature_sums(features)
    assert sums.count == len(features)
    assert torch.allclose(sums.total, features.double().sum(0))
    assert torch.allclose(sums.outer, features.double().T @ features.double())


def test_bad_input():
    sums = feature_sums(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="width 3 as the reference's, received 4"):
        frechet_distance(sums, torch.zeros(5, 4))
    with pytest.raises(ValueError, match="floating-point"):
        feature_sums(torch.zeros(5, 3, dtype=torch.uint8))
    with pytest.raises(UserError, match="5 real and 1 generated"):
        frechet_distance(sums, torch.zeros(1, 3))


@pytest.mark.parametrize(("real", "measured", "warned"), [(4, 4, 0), (3, 4, 1), (4, 3, 1), (2, 2, 2)])
def test_rank_warnings(real, measured, warned):
    lines = rank_warnings("fid", feature_sums(torch.zeros(real, 3)), measured)
    assert len(lines) == warned
    assert all("fid" in line and "3 features" in line for line in lines)

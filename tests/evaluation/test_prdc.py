import numpy as np
import pytest
import torch

from modescope.errors import UserError
from modescope.evaluation import prdc
from modescope.evaluation.prdc import Prdc, precision_recall_density_coverage


def naive_prdc(real: np.ndarray, fake: np.ndarray, k: int) -> Prdc:
    """The four definitions, point by point."""

    def distance(x, y):
        return np.sqrt(((x - y) ** 2).sum())

    def radius(points, i):
        return sorted(distance(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    real_radius = [radius(real, i) for i in range(len(real))]
    fake_radius = [radius(fake, j) for j in range(len(fake))]
    in_real = np.array([[distance(x, y) < r for x, r in zip(real, real_radius, strict=False)] for y in fake])
    in_fake = np.array([[distance(x, y) < r for y, r in zip(fake, fake_radius, strict=False)] for x in real])
    return Prdc(
        precision=in_real.any(1).mean(),
        recall=in_fake.any(1).mean(),
        density=in_real.sum(1).mean() / k,
        coverage=in_real.any(0).mean(),
    )


@pytest.mark.parametrize("rows_at_once", [7, 1000])
@pytest.mark.parametrize("neighbours", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agrees_with_the_naive_loop(monkeypatch, rows_at_once, neighbours, dtype):
    monkeypatch.setattr(prdc, "ROWS_AT_ONCE", rows_at_once)
    generator = torch.Generator().manual_seed(0)
    real, fake = (
        torch.randn(60, 4, generator=generator, dtype=dtype),
        torch.randn(45, 4, generator=generator, dtype=dtype) * 0.7 + 0.5,
    )
    expected = naive_prdc(real.double().numpy(), fake.double().numpy(), neighbours)
    assert vars(precision_recall_density_coverage(real, fake, neighbours)) == pytest.approx(vars(expected), abs=1e-12)


def test_real_against_itself_hits_the_ceiling():
    features = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    result = precision_recall_density_coverage(features, features, 5)
    assert (result.precision, result.recall, result.coverage) == (1, 1, 1)
    assert result.density == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("width", [2, 16, 300])
def test_a_set_against_itself_has_density_one(width, offset):
    """The k-th neighbour lies on the ball's surface, which is outside, however its distance is rounded."""
    features = torch.randn(500, width, generator=torch.Generator().manual_seed(width)) + offset
    for neighbours in (1, 5):
        found = precision_recall_density_coverage(features, features[torch.randperm(500)], neighbours)
        assert vars(found) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_equal_images_tie_and_lie_on_each_others_surface():
    """Of four copies of every image three are neighbours at distance 0: a ball that reaches to the third is empty."""
    features = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).repeat(4, 1) + 30
    for neighbours, density in ((3, 0.0), (4, 1.0)):
        found = precision_recall_density_coverage(features, features, neighbours)
        assert vars(found) == {"precision": density, "recall": density, "density": density, "coverage": density}


def test_equal_distributions_have_density_and_coverage_near_one():
    """Naeem et al. 2020: expected coverage of equal distributions is 1 - 2^-k = 0.97 for k = 5."""
    real, fake = torch.randn(2, 2000, 16, generator=torch.Generator().manual_seed(0))
    result = precision_recall_density_coverage(real, fake, 5)
    assert result.density == pytest.approx(1, abs=0.1)
    assert result.coverage == pytest.approx(0.97, abs=0.02)
    assert result.precision == pytest.approx(result.recall, abs=0.05)


@pytest.mark.parametrize("spread", [0.0, 0.05], ids=["one image", "one mode"])
def test_mode_collapse_keeps_precision_and_loses_recall_and_coverage(spread):
    """Ten modes are real, one is generated."""
    generator = torch.Generator().manual_seed(0)
    modes = 10 * torch.eye(10)
    real = modes.repeat(50, 1) + 0.05 * torch.randn(500, 10, generator=generator)
    collapsed = modes[0] + spread * torch.randn(500, 10, generator=generator)
    result = precision_recall_density_coverage(real, collapsed, 5)
    assert result.precision > 0.8
    assert result.recall <= 0.1
    assert result.coverage <= 0.1


def test_too_few_images_raise():
    with pytest.raises(UserError, match="found 6 real and 5 generated"):
        precision_recall_density_coverage(torch.randn(6, 2), torch.randn(5, 2), 5)


def test_bad_shape():
    with pytest.raises(ValueError, match="reference features"):
        precision_recall_density_coverage(torch.zeros(6), torch.zeros(6, 2), 5)

import numpy as np
import pytest
import torch

from modescope.errors import UserError
from modescope.evaluation.kernel import kernel_distance


def brute_force_kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared MMD (Binkowski et al. 2018), pair by pair."""

    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    size = len(a)
    within_a = sum(kernel(a[i], a[j]) for i in range(size) for j in range(size) if i != j)
    within_b = sum(kernel(b[i], b[j]) for i in range(size) for j in range(size) if i != j)
    between = sum(kernel(x, y) for x in a for y in b)
    return (within_a + within_b) / (size * (size - 1)) - 2 * between / size**2


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(40, 6), torch.randn(40, 6) * 1.5 + 0.3


def test_one_subset_of_everything_agrees_with_brute_force(features):
    expected = brute_force_kernel_distance(*(each.double().numpy() for each in features))
    mean, std = kernel_distance(*features, subsets=1, subset_size=40, seed=0)
    assert mean == pytest.approx(expected, rel=1e-9)
    assert std == pytest.approx(0, abs=1e-12)


def test_seed_decides_the_subsets_and_leaves_the_global_state(features):
    state = torch.random.get_rng_state()
    first = kernel_distance(*features, subsets=5, subset_size=10, seed=1)
    torch.manual_seed(99)
    repeated = kernel_distance(*features, subsets=5, subset_size=10, seed=1)
    other = kernel_distance(*features, subsets=5, subset_size=10, seed=2)
    assert first == repeated != other
    assert first[1] > 0
    torch.random.set_rng_state(state)
    kernel_distance(*features, subsets=2, subset_size=10, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_equal_distributions_are_near_zero_and_others_are_not():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1000, 8, generator=generator)
    near, _ = kernel_distance(a, b, subsets=20, subset_size=500, seed=0)
    far, _ = kernel_distance(a, b + 1, subsets=20, subset_size=500, seed=0)
    assert near == pytest.approx(0, abs=0.02)
    assert far > 1


@pytest.mark.parametrize("subset_size", [1, 41])
def test_too_few_images_raise(features, subset_size):
    with pytest.raises(UserError, match="between 2 and 40"):
        kernel_distance(*features, subsets=1, subset_size=subset_size, seed=0)


def test_widths_must_agree(features):
    with pytest.raises(ValueError, match="width 6 as the reference's, received 5"):
        kernel_distance(features[0], features[1][:, :5], subsets=1, subset_size=5, seed=0)

"""Normality: the tests reject what they should, as often as they should, and say the same as their definitions."""

import math
import time

import numpy as np
import pytest
import torch

from modescope.evaluation.normality import flat, holm, ks_tests, mmd_test, normality


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_mmd(first, second):
    """Equation 3 pair by pair, with the median of all distances as bandwidth."""
    pooled = [*first.tolist(), *second.tolist()]
    distances = sorted(math.dist(x, y) for index, x in enumerate(pooled) for y in pooled[:index])
    median = distances[(len(distances) - 1) // 2]
    m, n = len(first), len(second)
    total = 0.0
    for i, x in enumerate(pooled):
        for j, y in enumerate(pooled):
            weight = (
                -1 / (m * n)
                if (i < m) != (j < m)
                else 0.0
                if i == j
                else 1 / (m * (m - 1))
                if i < m
                else 1 / (n * (n - 1))
            )
            total += weight * math.exp(-(math.dist(x, y) ** 2) / (2 * median**2))
    return total


def test_mmd_is_its_definition():
    first, second = draws(5, 3).double(), draws(7, 3, seed=1).double() + 0.5
    assert mmd_test(first, second, 19, seed=0)[0] == pytest.approx(naive_mmd(first, second), rel=1e-12)


def test_mmd_p_is_the_share_of_permutations_that_reach_it():
    """Against the definition on every one of the permutations."""
    first, second = draws(6, 2).double(), draws(6, 2, seed=1).double()
    observed, p = mmd_test(first, second, 49, seed=3)
    pooled = torch.cat([first, second])
    members = np.random.default_rng(3).permuted(np.tile(np.arange(12) < 6, (49, 1)), axis=1)
    reached = sum(naive_mmd(pooled[row], pooled[~row]) >= observed - 1e-12 for row in torch.from_numpy(members))
    assert p == pytest.approx((1 + reached) / 50)


@pytest.mark.parametrize("seed", range(3))
def test_standard_normal_codes_pass(seed):
    result = normality(draws(600, 8, seed=seed), permutations=99, seed=seed)
    assert result["ks_rejected"] == 0 and result["ks_max"] < 0.08
    assert result["mmd_p"] > 0.05 and abs(result["mmd"]) < 2e-3


@pytest.mark.parametrize(
    "change", [lambda z: z + 0.4, lambda z: 0.5 * z, lambda z: 2 * z, lambda z: z.sign() * z.square()]
)
def test_other_codes_fail(change):
    result = normality(change(draws(600, 8)), permutations=99, seed=0)
    assert result["ks_rejected"] == 1
    assert result["mmd"] > 1e-3 and result["mmd_p"] == pytest.approx(0.01)


def test_mmd_sees_dependence_that_single_dimensions_hide():
    z = draws(600, 1).expand(600, 4)
    result = normality(z, permutations=99, seed=0)
    assert result["ks_rejected"] == 0 and result["mmd_p"] == pytest.approx(0.01)


def test_one_bad_dimension_of_eight_is_an_eighth():
    z = draws(600, 8)
    z[:, 3] += 1
    assert normality(z, permutations=19, seed=0)["ks_rejected"] == 1 / 8


def test_p_values_are_uniform_under_the_hypothesis():
    """Of 200 samples about 5 % reach 0.05 (binomial, five standard errors), and means lie around a half."""
    _, ks = ks_tests(draws(100, 200))
    mmd = torch.tensor(
        [mmd_test(draws(20, 2, seed=2 * i), draws(20, 2, seed=2 * i + 1), 39, seed=i)[1] for i in range(200)]
    )
    for p in (ks, mmd):
        assert (p <= 0.05).double().mean() == pytest.approx(0.05, abs=0.077)
        assert p.double().mean() == pytest.approx(0.51, abs=0.1)
        assert (p <= 0.5).double().mean() == pytest.approx(0.5, abs=0.177)


def test_ks_statistic_by_hand():
    """Of one value x the distance is max(F(x), 1 - F(x))."""
    statistics, p_values = ks_tests(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    assert statistics.tolist() == pytest.approx([0.5, 0.841344746], rel=1e-6)
    assert p_values.tolist() == pytest.approx([1.0, 2 * (1 - 0.841344746)], rel=1e-6)


def test_holm_by_hand():
    """0.01 <= 0.05/4 and 0.015 <= 0.05/3 fall; 0.03 > 0.05/2 stands, and so does 0.04, below 0.05/1."""
    assert holm(torch.tensor([0.03, 0.01, 0.04, 0.015])).tolist() == [False, True, False, True]


def test_the_seed_decides_and_the_global_state_stays():
    z = draws(50, 2)
    state = torch.get_rng_state()
    first, repeated, other = (normality(z, permutations=99, seed=seed) for seed in (0, 0, 1))
    assert first == repeated and first["mmd"] != other["mmd"]
    assert torch.equal(torch.get_rng_state(), state)


def test_2000_codes_take_seconds():
    began = time.perf_counter()
    normality(draws(2000, 16), permutations=500, seed=0)
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(5), r"expected codes \(N, D\) of a floating-point dtype, received \(5,\) torch.float32"),
        (torch.zeros(5, 2, dtype=torch.int64), r"received \(5, 2\) torch.int64"),
        (torch.full((5, 2), torch.nan), "expected finite codes, received NaN or infinity in 5 of 5 rows"),
        (torch.zeros(1, 2), "expected at least 2 codes and 2 draws, received 1 and 1"),
    ],
)
def test_wrong_codes_raise(codes, message):
    with pytest.raises(ValueError, match=message):
        normality(codes, permutations=19, seed=0)


def test_wrong_pairs_raise():
    with pytest.raises(ValueError, match="width 3 as the reference's, received 2"):
        mmd_test(draws(5, 2), draws(5, 3), 19, seed=0)
    with pytest.raises(ValueError, match="received a median distance of 0"):
        mmd_test(torch.zeros(5, 2), torch.zeros(5, 2), 19, seed=0)


def test_flat_names_metric_and_moment():
    assert flat({"vae": {"mmd": 0.1, "ks_max": 0.2}, "joint": {"mmd": 0.3}}) == {
        "mmd_vae": 0.1,
        "ks_max_vae": 0.2,
        "mmd_joint": 0.3,
    }

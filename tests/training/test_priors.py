"""What the generator is fed: the mixtures' moments, their labels, what decides them, and how long a draw takes."""

import time

import numpy as np
import pytest
import torch

from modescope.training.priors import FIXED_LATENTS, NormalPrior, build_prior, fixed_latents, kept_prior, mixture_prior

CPU = torch.device("cpu")
DIM = 100
VARIANCES = {"diagonal": 1.0, "sphere": 0.5, "orthogonal": 0.5, "close": 0.875}
placements = pytest.mark.parametrize("placement", VARIANCES)


def make(placement, seed=3, components=10):
    return mixture_prior(placement, DIM, components, seed)


def draw(prior, count=10_000, seed=0, labels=None):
    return prior.sample(count, CPU, torch.Generator().manual_seed(seed), *([] if labels is None else [labels]))


@placements
def test_every_component_has_its_mean_and_variance(placement):
    prior = make(placement)
    for component in range(10):
        z, labels = draw(prior, labels=torch.full((10_000,), component))
        deviation = VARIANCES[placement] ** 0.5
        assert z.shape == (10_000, DIM) and z.dtype == torch.float32 and (labels == component).all()
        torch.testing.assert_close(
            z.mean(0), prior.means[component], atol=5 * deviation / 100, rtol=0
        )  # five standard errors
        torch.testing.assert_close(z.var(0), torch.full((DIM,), deviation**2), atol=0, rtol=0.08)


def test_diagonal_means_are_half_the_label_in_every_dimension():
    assert torch.equal(make("diagonal").means, torch.arange(10.0)[:, None].expand(10, DIM) / 2)


def test_sphere_means_lie_at_eight_times_the_root_of_the_dimension():
    means = make("sphere").means
    torch.testing.assert_close(means.norm(dim=1), torch.full((10,), 80.0))
    cosines = (means / 80) @ (means / 80).T - torch.eye(10)
    assert 0.01 < cosines.abs().max() < 0.5  # random directions: neither equal nor orthogonal


@pytest.mark.parametrize(("placement", "length"), [("orthogonal", 50), ("close", 12.5)])
def test_means_are_orthogonal_and_z_has_the_normals_second_moment(placement, length):
    prior = make(placement)
    torch.testing.assert_close(prior.means @ prior.means.T, torch.eye(10) * length, atol=1e-4, rtol=0)
    assert prior.means.square().mean().item() + prior.variance == pytest.approx(1)
    assert draw(prior).z.square().mean().item() == pytest.approx(1, abs=0.01)


@placements
def test_labels_are_balanced_and_are_the_components(placement):
    prior = make(placement)
    z, labels = draw(prior)
    assert labels.dtype == torch.int64
    counts = torch.bincount(labels, minlength=10)
    assert ((counts - 1000).square() / 1000).sum() < 27.9  # chi-square of nine degrees of freedom, 0.1%
    assert (z - prior.means[labels]).square().mean().item() == pytest.approx(VARIANCES[placement], rel=0.01)


@placements
def test_the_seed_decides_the_draws(placement):
    prior = make(placement)
    first, repeated, other = draw(prior, 50), draw(prior, 50), draw(prior, 50, seed=1)
    assert torch.equal(first.z, repeated.z) and torch.equal(first.labels, repeated.labels)
    assert not torch.equal(first.z, other.z) and not torch.equal(first.labels, other.labels)


@pytest.mark.parametrize("placement", ["sphere", "orthogonal", "close"])
def test_the_seed_decides_the_directions(placement):
    assert torch.equal(make(placement).means, make(placement).means)
    assert not torch.allclose(make(placement).means, make(placement, seed=4).means)


def test_given_labels_are_used():
    labels = torch.tensor([9, 0, 9, 4])
    z, kept = draw(make("sphere"), 4, labels=labels)
    assert kept is labels
    assert (z - make("sphere").means[labels]).abs().max() < 5 < (z - make("sphere").means[labels.flip(0)]).abs().max()


@pytest.mark.parametrize(("placement", "components"), [("orthogonal", DIM + 1), ("diagonall", 10)])
def test_what_cannot_be_placed_is_refused(placement, components):
    with pytest.raises(ValueError, match=f"with at most 100 components, received {placement} with {components}"):
        make(placement, components=components)


def test_as_many_orthogonal_components_as_dimensions_are_fine():
    assert make("orthogonal", components=DIM).num_classes == DIM


@pytest.mark.parametrize("name", [*VARIANCES, "normal"])
def test_a_prior_comes_back_from_its_state(name):
    prior = build_prior(name, DIM, 10, seed=3)
    kept = kept_prior({f"prior.{key}": value for key, value in prior.state().items()}, DIM)
    assert type(kept) is type(prior) and torch.equal(draw(kept, 20).z, draw(prior, 20).z)


def test_the_normal_prior_has_no_labels():
    z, labels = draw(NormalPrior(DIM))
    assert labels is None and NormalPrior(DIM).num_classes is None
    assert z.mean().abs() < 0.01 and z.var().item() == pytest.approx(1, abs=0.01)


def test_labels_of_the_normal_prior_are_uniform_and_z_knows_nothing_of_them():
    z, labels = draw(NormalPrior(DIM, 10))
    counts = torch.bincount(labels, minlength=10)
    assert labels.dtype == torch.int64 and len(counts) == 10
    assert ((counts - 1000).square() / 1000).sum() < 27.9  # chi-square of nine degrees of freedom, 0.1%
    assert all(z[labels == label].mean().abs() < 0.02 for label in range(10))
    assert torch.equal(z, draw(NormalPrior(DIM)).z)


@pytest.mark.parametrize("num_classes", [10, None])
def test_labels_given_to_the_normal_prior_are_used_and_leave_z_alone(num_classes):
    wanted = torch.tensor([9, 0, 9, 4])
    z, labels = draw(NormalPrior(DIM, num_classes), 4, labels=wanted)
    assert labels is wanted and torch.equal(z, draw(NormalPrior(DIM, num_classes), 4).z)


@pytest.mark.parametrize("num_classes", [10, None])
def test_the_normal_priors_classes_come_back_from_its_state(num_classes):
    state = {f"prior.{key}": value for key, value in NormalPrior(DIM, num_classes).state().items()}
    kept = kept_prior(state, DIM)
    assert type(kept) is NormalPrior and (kept.latent_dim, kept.num_classes) == (DIM, num_classes)


def test_fixed_latents_are_those_of_seed_zero_with_every_label():
    prior = NormalPrior(DIM, 3)
    z, labels = fixed_latents(prior, CPU)
    assert torch.equal(labels, torch.arange(3).repeat(FIXED_LATENTS))
    assert torch.equal(z[::3], draw(prior, FIXED_LATENTS).z) and torch.equal(
        z.view(FIXED_LATENTS, 3, DIM)[:, 2], z[::3]
    )


def test_a_batch_takes_no_loop():
    """Against one draw after the other, at least 200 times as fast."""
    prior, rng = make("orthogonal"), np.random.default_rng(0)
    means, covariance = prior.means.double().numpy(), prior.variance * np.eye(DIM)

    def one_by_one():
        return np.stack(
            [rng.multivariate_normal(means[component], covariance) for component in rng.integers(10, size=128)]
        )

    assert best_seconds(one_by_one, 3) >= 200 * best_seconds(lambda: prior.sample(128, CPU), 300)


def best_seconds(call, repeats):
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)

"""What the adversarial objective hands the loop."""

import pytest
import torch
from torch import nn

from modescope.training.adversarial import AdversarialObjective, both_logits, preview_latents
from modescope.training.device import autocast
from modescope.training.losses import LOSSES, adversarial_loss
from modescope.training.objective import Batch, Phase
from modescope.training.priors import FIXED_LATENTS, NormalPrior, mixture_prior

BATCH = Batch(torch.full((4, 3, 2, 2), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))


class Generator(nn.Sequential):
    """Linear, counting its calls."""

    def __init__(self):
        super().__init__(nn.Linear(5, 12), nn.Unflatten(1, (3, 2, 2)))
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return super().forward(z)


class Labelled(nn.Module):
    """Images whose first channel is z[0] and whose second is a fifth of the label; keeps the labels it was given."""

    def __init__(self):
        super().__init__()
        self.scale, self.given = nn.Parameter(torch.ones(())), []

    def forward(self, z, labels):
        self.given.append(labels)
        values = torch.stack([z[:, 0] / 4, labels / 5, torch.zeros(len(z))], 1)
        return self.scale * values[:, :, None, None].expand(-1, -1, 2, 2)


class LabelledJudge(nn.Module):
    """Its logit is the image's sum, once more for every label; keeps the labels it was given."""

    def __init__(self):
        super().__init__()
        self.weight, self.given = nn.Parameter(torch.ones(())), []

    def forward(self, images, labels):
        self.given.append(labels)
        return self.weight * images.sum((1, 2, 3)) * (1 + labels)


def make(steps=(1, 1), prior=None, networks=None, loss=LOSSES["bce"], **options):
    torch.manual_seed(0)
    networks = networks or (nn.Sequential(nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0)), Generator())
    phases = [
        Phase(name, net, torch.optim.SGD(net.parameters(), 0.1), count)
        for name, net, count in zip("dg", networks, steps, strict=True)
    ]
    return AdversarialObjective(*phases, loss, prior or NormalPrior(5), **options)


def labelled(**options):
    return make(
        prior=NormalPrior(5, 3), networks=(LabelledJudge(), Labelled()), conditional=True, share_fakes=False, **options
    )


class BrightGuidance:
    """Images of a component should be as bright as its label says."""

    name = "bright"

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, images, labels):
        return self.weight * (images.mean((1, 2, 3)) - labels).square().mean()


def test_discriminator_step_sees_real_images_and_leaves_the_generator_alone():
    objective = make()
    losses = objective.losses("d", BATCH)
    losses["loss"].backward()
    real_logits = objective.discriminator(torch.ones(4, 3, 2, 2))  # uint8 255 is 1.0: the images given, not noise
    assert losses["real"].item() == pytest.approx(real_logits.sigmoid().mean().item())
    assert all(weight.grad is None for weight in objective.generator.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in objective.discriminator.parameters())


def test_generator_step_leaves_the_discriminator_alone():
    objective = make()
    objective.losses("g", BATCH)["loss"].backward()
    assert all(weight.grad is None and weight.requires_grad for weight in objective.discriminator.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in objective.generator.parameters())


@pytest.mark.parametrize(("steps", "shares", "calls"), [((1, 1), True, 1), ((2, 1), True, 2), ((1, 1), False, 2)])
def test_both_players_share_the_fake_images_of_a_one_to_one_iteration(steps, shares, calls):
    objective = make(steps, share_fakes=shares)
    objective.losses("d", BATCH)
    objective.losses("g", BATCH)
    assert objective.generator.calls == calls


def test_guidance_terms_are_added_and_logged():
    losses = make(prior=mixture_prior("diagonal", 5, 3, seed=0), guidance=[BrightGuidance(3.0)]).losses("g", BATCH)
    assert losses["loss"].item() == pytest.approx((losses["adversarial"] + losses["bright"]).item())
    assert losses["bright"].item() > 0
    assert not any(value.requires_grad for name, value in losses.items() if name != "loss")


@pytest.mark.parametrize("weight", [0.0, 3.0])
@pytest.mark.parametrize("steps", [(1, 1), (1, 2)])
def test_the_gradients_of_the_terms_are_measured_at_the_fake_images(steps, weight):
    objective, term = (
        make(steps, mixture_prior("diagonal", 5, 3, seed=0), guidance=[BrightGuidance(weight)]),
        BrightGuidance(weight),
    )
    latents = objective.prior.sample(4, torch.device("cpu"))
    objective.prior.sample = lambda *_, **__: latents
    objective.losses("d", BATCH)
    losses = objective.losses("g", BATCH)
    losses["loss"].backward()
    images = objective.generator(latents.z).detach().requires_grad_()
    adversarial = LOSSES["bce"].generator(fake_logits=objective.discriminator(images))
    (first,), (second,) = (torch.autograd.grad(value, images) for value in (adversarial, term(images, latents.labels)))
    expected = {
        "adversarial_gradient": first.norm().item(),
        "bright_gradient": second.norm().item(),
        "gradient": (first + second).norm().item(),
    }
    assert {name: losses[name].item() for name in expected} == pytest.approx(expected, rel=1e-5)
    assert expected["adversarial_gradient"] > 0 and (expected["bright_gradient"] > 0) == (weight > 0)


def test_a_plain_gan_logs_nothing_of_it():
    assert make().losses("g", BATCH).keys() == {"loss"}


def test_the_preview_shows_every_class_in_turn():
    prior = mixture_prior("sphere", 5, 3, seed=0)
    z, labels = preview_latents(prior, torch.device("cpu"))
    assert torch.equal(torch.cdist(z, prior.means).argmin(1), labels) and torch.equal(
        labels, torch.arange(3).repeat(FIXED_LATENTS)
    )
    assert torch.equal(z, preview_latents(prior, torch.device("cpu")).z)
    assert make(prior=prior).preview()["samples"].shape == (24, 3, 2, 2) and make().preview()["samples"].shape == (
        64,
        3,
        2,
        2,
    )


def test_a_run_keeps_its_prior():
    prior = mixture_prior("sphere", 5, 3, seed=0)
    weights = make(prior=prior).weights()
    assert torch.equal(weights["prior.means"], prior.means) and weights["prior.variance"].item() == 0.5
    assert not any(name.startswith("prior.") for name in make().weights())


def test_the_average_follows_the_generator():
    objective = make(ema_decay=0.75)
    start = objective.averaged[0].weight.clone()
    objective.generator[0].weight.data += 1
    objective.finish_iteration()
    torch.testing.assert_close(objective.averaged[0].weight, start + 0.25)
    assert torch.equal(objective.weights()["generator.0.weight"], objective.averaged[0].weight)


def test_the_discriminators_loss_is_scaled():
    whole, half = (
        make(loss=adversarial_loss("bce", d_loss_scale=scale)).losses("d", BATCH)["loss"].item() for scale in (1.0, 0.5)
    )
    assert half == pytest.approx(whole / 2) and whole > 0.1


@pytest.mark.parametrize("name", LOSSES)
def test_scores_are_probabilities_of_bce_and_the_networks_outputs_of_the_others(name):
    objective = make(loss=LOSSES[name], share_fakes=False)
    found = objective.losses("d", BATCH)["real"].item()
    logit = objective.discriminator(torch.ones(1, 3, 2, 2))
    assert found == pytest.approx((logit.sigmoid() if name == "bce" else logit).item())


@pytest.mark.parametrize("loss", ["hinge", "wgan-gp"])
def test_the_discriminator_is_given_the_batchs_labels_and_the_generator_uniform_ones(loss):
    objective = labelled(loss=adversarial_loss(loss, penalty_weight=float(loss == "wgan-gp")))
    own = torch.tensor([2, 2, 0, 2] * 75)
    objective.losses("d", Batch(torch.zeros(300, 3, 2, 2, dtype=torch.uint8), own))
    (generated,), (judged, *penalised) = objective.generator.given, objective.discriminator.given
    assert torch.equal(generated, own) and torch.equal(judged, torch.cat([own, own]))
    assert len(penalised) == (loss == "wgan-gp") and all(torch.equal(labels, own) for labels in penalised)
    objective.losses("g", Batch(torch.zeros(300, 3, 2, 2, dtype=torch.uint8), own))
    assert torch.equal(objective.generator.given[-1], objective.discriminator.given[-1])
    assert torch.bincount(objective.generator.given[-1], minlength=3).tolist() == pytest.approx(
        [100, 100, 100], abs=40
    )  # five deviations


def test_labels_are_not_looked_at_without_condition():
    objective = make()
    other = BATCH._replace(labels=torch.full((4,), 99))
    torch.manual_seed(0)
    first = [objective.losses(phase, BATCH)["loss"].item() for phase in "dg"]
    torch.manual_seed(0)
    assert [objective.losses(phase, other)["loss"].item() for phase in "dg"] == first


@pytest.mark.parametrize(("norm", "passes"), [(nn.LayerNorm, 1), (nn.BatchNorm1d, 2)])
def test_real_and_fake_images_go_through_in_one_pass_unless_batchnorm_would_mix_them(norm, passes):
    torch.manual_seed(0)
    network, sizes = nn.Sequential(nn.Flatten(), norm(12), nn.Linear(12, 1), nn.Flatten(0)), []
    real, fake = 3 + torch.randn(5, 3, 2, 2), torch.randn(4, 3, 2, 2)
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    found = both_logits(network, real, fake, None)
    assert sizes == ([9] if passes == 1 else [5, 4])
    torch.testing.assert_close(found, (network(real), network(fake)))


def test_labels_of_one_pass_stay_with_their_images():
    real, fake, labels = torch.ones(2, 3, 2, 2), torch.full((2, 3, 2, 2), -1.0), torch.tensor([0, 4])
    real_logits, fake_logits = both_logits(LabelledJudge(), real, fake, labels)
    assert (real_logits.tolist(), fake_logits.tolist()) == ([12, 60], [-12, -60])


@pytest.mark.usefixtures("any_precision")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_penalty_is_weighted_and_computed_in_float32(precision):
    """That of a linear critic is (|w| - 1)^2."""
    objective, dtypes = make((5, 1), loss=adversarial_loss("wgan-gp", penalty_weight=10.0)), []
    objective.discriminator[1].register_forward_hook(lambda *seen: dtypes.append(seen[-1].dtype))
    objective.discriminator[1].weight.data.mul_(3)
    with autocast("cpu", precision):
        losses = objective.losses("d", BATCH)
    expected = (objective.discriminator[1].weight.norm().item() - 1) ** 2
    assert dtypes == [torch.bfloat16 if precision == "bf16" else torch.float32, torch.float32]
    assert losses["penalty"].item() == pytest.approx(expected, rel=1e-5) and expected > 0.1
    assert losses["loss"].item() == pytest.approx((losses["fake"] - losses["real"]).item() + 10 * expected, rel=1e-5)
    assert not losses["penalty"].requires_grad


def test_without_weight_there_is_no_penalty():
    assert make(loss=adversarial_loss("wgan-gp")).losses("d", BATCH).keys() == {"loss", "real", "fake"}


def test_fixed_z_shows_the_same_z_in_a_row_and_a_label_in_a_column():
    objective = labelled()
    shown = objective.preview()
    rows = shown["fixed_z"].view(FIXED_LATENTS, 3, 3, 2, 2).float()
    assert (
        torch.equal(rows[:, :, 0], rows[:, :1, 0].expand(-1, 3, -1, -1))
        and len(rows[:, 0, 0].unique(dim=0)) == FIXED_LATENTS
    )
    assert rows[0, :, 1, 0, 0].tolist() == [128, 153, 178] and torch.equal(
        rows[:, :, 1], rows[:1, :, 1].expand(FIXED_LATENTS, -1, -1, -1)
    )
    torch.manual_seed(99)
    assert torch.equal(labelled().preview()["fixed_z"], shown["fixed_z"])


def test_the_preview_of_a_conditional_gan_shows_every_label_in_turn():
    shown = labelled().preview()["samples"]
    assert shown.shape == (24, 3, 2, 2) and shown[:, 1, 0, 0].tolist() == [128, 153, 178] * 8
    assert len(shown[:, 0, 0, 0].unique()) > 12  # each with a z of its own


def test_without_labels_there_is_no_fixed_z():
    assert (
        make().preview().keys() == make(prior=mixture_prior("diagonal", 5, 3, seed=0)).preview().keys() == {"samples"}
    )

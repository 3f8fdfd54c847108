"""What the adversarial objective hands the loop."""

import pytest
import torch
from torch import nn

from modescope.training.adversarial import PREVIEWS_PER_CLASS, AdversarialObjective, preview_latents
from modescope.training.loop import Batch, Phase
from modescope.training.losses import LOSSES
from modescope.training.priors import NormalPrior, mixture_prior

BATCH = Batch(torch.full((4, 3, 2, 2), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))


class Generator(nn.Sequential):
    """Linear, counting its calls."""

    def __init__(self):
        super().__init__(nn.Linear(5, 12), nn.Unflatten(1, (3, 2, 2)))
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return super().forward(z)


def make(steps=(1, 1), prior=None, **options):
    torch.manual_seed(0)
    discriminator, generator = nn.Sequential(nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0)), Generator()
    phases = [
        Phase(name, net, torch.optim.SGD(net.parameters(), 0.1), count)
        for name, net, count in zip("dg", (discriminator, generator), steps, strict=True)
    ]
    return AdversarialObjective(*phases, LOSSES["bce"], prior or NormalPrior(5), **options)


class BrightGuidance:
    """Images of a component should be as bright as its label says."""

    name = "bright"

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, images, labels):
        return self.weight * (images.mean((1, 2, 3)) - labels).square().mean()


def test_discriminator_step_sees_real_images_and_leaves_the_generator_alone():
    objective = make(d_loss_scale=0.5)
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


@pytest.mark.parametrize(("steps", "calls"), [((1, 1), 1), ((2, 1), 2)])
def test_both_players_share_the_fake_images_of_a_one_to_one_iteration(steps, calls):
    objective = make(steps)
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
    objective, term = make(steps, mixture_prior("diagonal", 5, 3, seed=0), guidance=[BrightGuidance(weight)]), BrightGuidance(weight)
    latents = objective.prior.sample(4, torch.device("cpu"))
    objective.prior.sample = lambda *_: latents
    objective.losses("d", BATCH)
    losses = objective.losses("g", BATCH)
    losses["loss"].backward()
    images = objective.generator(latents.z).detach().requires_grad_()
    adversarial = LOSSES["bce"].generator(fake_logits=objective.discriminator(images))
    (first,), (second,) = (torch.autograd.grad(value, images) for value in (adversarial, term(images, latents.labels)))
    expected = {"adversarial_gradient": first.norm().item(), "bright_gradient": second.norm().item(), "gradient": (first + second).norm().item()}
    assert {name: losses[name].item() for name in expected} == pytest.approx(expected, rel=1e-5)
    assert expected["adversarial_gradient"] > 0 and (expected["bright_gradient"] > 0) == (weight > 0)


def test_a_plain_gan_logs_nothing_of_it():
    assert make().losses("g", BATCH).keys() == {"loss"}


def test_the_preview_shows_every_class_in_turn():
    prior = mixture_prior("sphere", 5, 3, seed=0)
    z = preview_latents(prior, torch.device("cpu"))
    assert torch.equal(torch.cdist(z, prior.means).argmin(1), torch.arange(3).repeat(PREVIEWS_PER_CLASS))
    assert torch.equal(z, preview_latents(prior, torch.device("cpu")))
    assert make(prior=prior).preview()["samples"].shape == (24, 3, 2, 2) and make().preview()["samples"].shape == (64, 3, 2, 2)


def test_a_run_keeps_its_prior():
    prior = mixture_prior("sphere", 5, 3, seed=0)
    weights = make(prior=prior).weights()
    assert torch.equal(weights["prior.means"], prior.means) and weights["prior.variance"].item() == 0.5
    assert not any(name.startswith("prior.") for name in make().weights())


def test_the_average_follows_the_generator():
    objective = make(ema_decay=0.75)
    start = objective.averaged[0].weight.clone()
    objective.generator[0].weight.data += 1
    objective.after_step(1)
    torch.testing.assert_close(objective.averaged[0].weight, start + 0.25)
    assert torch.equal(objective.weights()["generator.0.weight"], objective.averaged[0].weight)

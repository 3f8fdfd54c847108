"""What the adversarial objective hands the loop."""

import pytest
import torch
from torch import nn

from modescope.training.adversarial import AdversarialObjective
from modescope.training.loop import Batch, Phase
from modescope.training.losses import LOSSES
from modescope.training.priors import NormalPrior

BATCH = Batch(torch.full((4, 3, 2, 2), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))


class Generator(nn.Sequential):
    """Linear, counting its calls."""

    def __init__(self):
        super().__init__(nn.Linear(5, 12), nn.Unflatten(1, (3, 2, 2)))
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return super().forward(z)


def make(steps=(1, 1), **options):
    torch.manual_seed(0)
    discriminator, generator = nn.Sequential(nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0)), Generator()
    phases = [
        Phase(name, net, torch.optim.SGD(net.parameters(), 0.1), count)
        for name, net, count in zip("dg", (discriminator, generator), steps, strict=True)
    ]
    return AdversarialObjective(*phases, LOSSES["bce"], NormalPrior(5), **options)


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
    def term(images, labels):
        return 3.0 * images.pow(2).mean()

    term.name = "size"
    losses = make(guidance=[term]).losses("g", BATCH)
    assert losses["loss"].item() == pytest.approx((losses["adversarial"] + losses["size"]).item())
    assert losses["size"].item() > 0


def test_the_average_follows_the_generator():
    objective = make(ema_decay=0.75)
    start = objective.averaged[0].weight.clone()
    objective.generator[0].weight.data += 1
    objective.after_step(1)
    torch.testing.assert_close(objective.averaged[0].weight, start + 0.25)
    assert torch.equal(objective.weights()["generator.0.weight"], objective.averaged[0].weight)

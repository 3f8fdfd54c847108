"""Guidance by a frozen classifier: its value, whom its gradient reaches, the report's two mistakes (erratum 1)."""

from math import exp, log

import pytest
import torch
from torch import nn

from modescope.data.batches import to_signed
from modescope.training.guidance import ClassGuidance
from modescope.training.loop import iterate
from modescope.training.losses import LOSSES, AdversarialLoss
from modescope.training.meter import Meter
from modescope.training.objective import Batch
from small_gans import ADAPTED, ROWS, stage2


class FixedLogits(nn.Module):
    """Stands for a guide: keeps the images that it is shown and gives the logits that it was made with."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images):
        self.seen = images
        return self.logits


def copy_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def is_unchanged(module, before):
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def biases_before_a_batchnorm(network):
    """BatchNorm in training mode takes the mean away: the gradients of these biases are rounding errors."""
    modules = list(network.named_modules())
    return {
        f"{name}.bias"
        for (name, _), (_, following) in zip(modules, modules[1:], strict=False)
        if isinstance(following, nn.BatchNorm2d)
    }


def test_the_value_is_the_weighted_cross_entropy():
    said = FixedLogits([2.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    value = ClassGuidance(said, weight=0.5)(torch.zeros(2, 3, 1, 1), torch.tensor([0, 2]))
    assert value.item() == pytest.approx(0.5 * (log(exp(2) + 2) - 2 + log(exp(1) + 2)) / 2)


def test_the_guide_sees_images_in_0_1():
    said = FixedLogits([0.0, 0.0])
    ClassGuidance(said, weight=1.0)(torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1).bfloat16(), torch.tensor([0]))
    assert torch.equal(said.seen.flatten(), torch.tensor([0.0, 0.5, 1.0]))


@pytest.mark.parametrize("row", ROWS)
def test_the_class_loss_reaches_everything_that_is_trained(row):
    """Without the adversarial loss; the report's logits under no_grad reach nothing."""
    training = stage2(row)
    objective = training.objective
    objective.loss = AdversarialLoss(LOSSES["bce"].discriminator, lambda fake_logits: 0 * fake_logits.sum())
    objective.losses("g", Batch(*training.stream.batch(0)))["loss"].backward()
    trained = {name: weight for name, weight in objective.generator.named_parameters() if weight.requires_grad}
    assert all(weight.grad.isfinite().all() for weight in trained.values())
    for name in trained.keys() - biases_before_a_batchnorm(objective.generator):
        assert trained[name].grad.abs().sum() > 1e-5, name


@pytest.mark.parametrize("row", ADAPTED)
def test_a_step_leaves_generator_and_guide_as_they_were(row):
    training = stage2(row, n_gen=3)
    still = [training.objective.generator.generator, training.objective.guidance[0].guide]
    before, adapters = [copy_of(module) for module in still], copy_of(training.objective.generator.after)
    iterate(training, Meter(), "fp32", training.rows(0))
    for module, state in zip(still, before, strict=False):
        assert is_unchanged(module, state)
        assert all(weight.grad is None and not weight.requires_grad for weight in module.parameters())
    assert not is_unchanged(training.objective.generator.after, adapters)


@pytest.mark.parametrize("row", ["A", "D"])
def test_real_images_reach_the_discriminator(row):
    """Those of the data in this very order, not the report's noise."""
    training = stage2(row, n_critic=2, n_gen=1)
    seen = []
    training.objective.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    iterate(training, Meter(), "fp32", training.rows(3))
    real = [to_signed(training.stream.batch(step)[0]) for step in (6, 7)]
    assert len(seen) == 5 and torch.equal(seen[0], real[0]) and torch.equal(seen[2], real[1])

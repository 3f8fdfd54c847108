"""Adversarial losses against values worked out by hand."""

import math

import pytest
import torch

from modescope.training.losses import LOSSES

LOGITS = torch.tensor([0.0, math.log(3.0)])  # probabilities 1/2 and 3/4


def test_bce_discriminator():
    loss = LOSSES["bce"].discriminator(real_logits=LOGITS, fake_logits=-LOGITS)
    expected = 2 * (math.log(2) + math.log(4 / 3)) / 2  # -log 1/2 and -log 3/4, real and fake alike
    assert loss.item() == pytest.approx(expected)


def test_bce_generator():
    assert LOSSES["bce"].generator(fake_logits=LOGITS).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_the_players_pull_fake_logits_apart(name):
    fake = torch.zeros(4, requires_grad=True)
    down = torch.autograd.grad(LOSSES[name].discriminator(real_logits=torch.zeros(4), fake_logits=fake), fake)[0]
    up = torch.autograd.grad(LOSSES[name].generator(fake_logits=fake), fake)[0]
    assert (down > 0).all() and (up < 0).all()


def test_bce_is_stable_for_extreme_logits():
    assert LOSSES["bce"].generator(fake_logits=torch.tensor([-1e4])).item() == pytest.approx(1e4)

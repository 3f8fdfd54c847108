"""Adversarial losses and the gradient penalty against values worked out by hand."""

import math

import pytest
import torch

from modescope.errors import UserError
from modescope.training.losses import LOSSES, adversarial_loss, gradient_penalty

LOG = math.log
PROBABLE = [0.0, LOG(3)]  # logits of the probabilities 1/2 and 3/4
IMPROBABLE = [0.0, -LOG(3)]  # 1/2 and 1/4
BCE_FAKE = (LOG(2) + LOG(4 / 3)) / 2  # -log(1 - p) of the improbable


@pytest.mark.parametrize(
    ("name", "real_label", "real", "fake", "expected"),
    [
        ("bce", 1.0, PROBABLE, IMPROBABLE, (LOG(2) + LOG(4 / 3)) / 2 + BCE_FAKE),
        ("bce", 0.9, PROBABLE, IMPROBABLE, (LOG(2) + 0.9 * LOG(4 / 3) + 0.1 * LOG(4)) / 2 + BCE_FAKE),
        ("lsgan", 1.0, [1.0, 3.0], [0.0, 2.0], (0 + 4) / 2 + (0 + 4) / 2),
        ("lsgan", 0.9, [1.0, 3.0], [0.0, 2.0], (0.01 + 4.41) / 2 + (0 + 4) / 2),
        ("hinge", 1.0, [2.0, 0.25, -1.0], [-2.0, 0.5, 3.0], (0 + 0.75 + 2) / 3 + (0 + 1.5 + 4) / 3),
        ("hinge", 1.0, [1.0, 9.0], [-1.0, -9.0], 0),
        ("wgan-gp", 1.0, [2.0, 5.0], [-1.0, 0.0], -0.5 - 3.5),
    ],
)
def test_what_the_discriminator_minimises(name, real_label, real, fake, expected):
    loss = adversarial_loss(name, real_label=real_label).discriminator(
        real_logits=torch.tensor(real), fake_logits=torch.tensor(fake)
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "fake", "expected"),
    [
        ("bce", PROBABLE, (LOG(2) + LOG(4 / 3)) / 2),
        ("lsgan", [0.0, 3.0], (1 + 4) / 2),
        ("hinge", [-2.0, 5.0], -1.5),
        ("wgan-gp", [-2.0, 5.0], -1.5),
    ],
)
def test_what_the_generator_minimises(name, fake, expected):
    assert adversarial_loss(name, real_label=1.0).generator(fake_logits=torch.tensor(fake)).item() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("bce", 0.75), ("lsgan", LOG(3)), ("hinge", LOG(3)), ("wgan-gp", LOG(3))]
)
def test_a_score_is_a_probability_where_the_logit_is_one_of_a_probability(name, expected):
    assert LOSSES[name].score(torch.tensor(LOG(3))).item() == pytest.approx(expected, rel=1e-5)


def test_scale_and_penalty_are_kept_and_the_table_stays_as_it_is():
    loss = adversarial_loss("lsgan", d_loss_scale=0.5, real_label=0.9, penalty_weight=3.0)
    assert (loss.d_loss_scale, loss.penalty_weight) == (0.5, 3.0)
    assert (LOSSES["lsgan"].d_loss_scale, LOSSES["lsgan"].penalty_weight) == (1.0, 0.0)
    assert LOSSES["lsgan"].discriminator(real_logits=torch.ones(1), fake_logits=torch.zeros(1)).item() == 0


@pytest.mark.parametrize(
    ("name", "real_label", "message"),
    [
        ("bec", 1.0, f"unknown loss `bec`: there are {', '.join(LOSSES)}"),
        ("hinge", 0.9, "real_label=0.9: the loss `hinge` has no target to smooth, set it to 1.0"),
        ("wgan-gp", 0.9, "real_label=0.9: the loss `wgan-gp` has no target to smooth, set it to 1.0"),
    ],
)
def test_what_is_no_loss_is_refused(name, real_label, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        adversarial_loss(name, real_label=real_label)


@pytest.mark.parametrize("name", LOSSES)
def test_the_players_pull_fake_logits_apart(name):
    fake = torch.full((4,), 0.5, requires_grad=True)  # lsgan's discriminator is content with 0
    down = torch.autograd.grad(LOSSES[name].discriminator(real_logits=torch.zeros(4), fake_logits=fake), fake)[0]
    up = torch.autograd.grad(LOSSES[name].generator(fake_logits=fake), fake)[0]
    assert (down > 0).all() and (up < 0).all()


@pytest.mark.parametrize("real_label", [1.0, 0.9])
def test_bce_is_stable_for_extreme_logits(real_label):
    loss = adversarial_loss("bce", real_label=real_label)
    assert loss.generator(fake_logits=torch.tensor([-1e4])).item() == pytest.approx(1e4)
    far = loss.discriminator(real_logits=torch.tensor([1e4]), fake_logits=torch.tensor([-1e4]))
    assert far.item() == pytest.approx((1 - real_label) * 1e4, rel=1e-4)


def images(count=3):
    torch.manual_seed(0)
    return torch.randn(2, count, 1, 2, 2, dtype=torch.float64)


@pytest.mark.parametrize("length", [0.25, 1.0, 3.0])
def test_the_penalty_of_a_linear_critic_is_that_of_its_weights(length):
    """The gradient is the weights, wherever it is taken: (|w| - 1)^2."""
    real, fake = images()
    weights = length * torch.tensor([0.5, -0.5, 0.5, 0.5], dtype=torch.float64)
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weights, real, fake, torch.rand(3, dtype=torch.float64))
    assert penalty.item() == pytest.approx((length - 1) ** 2, abs=1e-12)


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_the_penalty_is_taken_between_fake_and_real_images(mix):
    """The gradient of |x|^2 / 2 is x itself: its length is known at every point between the two."""
    real, fake = images()
    expected = ((mix * real + (1 - mix) * fake).flatten(1).norm(dim=1) - 1).square().mean().item()
    penalty = gradient_penalty(
        lambda x: x.flatten(1).square().sum(1) / 2, real, fake, torch.full((3,), mix, dtype=torch.float64)
    )
    assert penalty.item() == pytest.approx(expected, abs=1e-12)


def test_every_image_has_a_mix_of_its_own():
    real, fake = torch.full((2, 1, 2, 2), 2.0), torch.zeros(2, 1, 2, 2)  # of length 4 and 0
    penalty = gradient_penalty(lambda x: x.flatten(1).square().sum(1) / 2, real, fake, torch.tensor([1.0, 0.5]))
    assert penalty.item() == pytest.approx(((4 - 1) ** 2 + (2 - 1) ** 2) / 2)


def test_the_gradient_of_the_penalty_is_that_of_finite_differences():
    real, fake = images()
    mix = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)
    first, second = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 5), (5,)))
    assert torch.autograd.gradcheck(
        lambda a, b: gradient_penalty(lambda x: (x.flatten(1) @ a).tanh() @ b, real, fake, mix), (first, second)
    )

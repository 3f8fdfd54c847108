"""Adversarial losses as pairs of pure functions of logits, tabled by name.

Logits are (N,) float32, positive for "real". Every function returns a scalar, averaged over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from modescope.errors import UserError


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator and the generator minimise.

    Attributes:
        score: what is logged as D(x): a probability where the logit is one's, else the output itself.
        has_target: whether the discriminator's function takes `real_label`, the target of real images.
        d_loss_scale: factor on the discriminator's function.
        penalty_weight: of the gradient penalty, added to the discriminator's loss.
    """

    discriminator: Callable[..., Tensor]
    generator: Callable[..., Tensor]
    score: Callable[[Tensor], Tensor] = torch.Tensor.detach
    has_target: bool = False
    d_loss_scale: float = 1.0
    penalty_weight: float = 0.0


def bce_discriminator(*, real_logits: Tensor, fake_logits: Tensor, real_label: float = 1.0) -> Tensor:
    """Cross-entropy of D = sigmoid(logit) with `real_label` and 0 (Goodfellow et al. 2014, equation 1)."""
    real = softplus(-real_logits) + (1 - real_label) * real_logits  # as softplus(x) = x + softplus(-x)
    return real.mean() + softplus(fake_logits).mean()


def bce_generator(*, fake_logits: Tensor) -> Tensor:
    """-log D(G(z)), the non-saturating form (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake_logits).mean()


def lsgan_discriminator(*, real_logits: Tensor, fake_logits: Tensor, real_label: float = 1.0) -> Tensor:
    """(D(x) - real_label)^2 + D(G(z))^2 (Mao et al. 2017, equation 9 with a = 0, without its factor 1/2)."""
    return (real_logits - real_label).square().mean() + fake_logits.square().mean()


def lsgan_generator(*, fake_logits: Tensor) -> Tensor:
    """(D(G(z)) - 1)^2 (Mao et al. 2017, equation 9 with c = 1, without its factor 1/2)."""
    return (fake_logits - 1).square().mean()


def hinge_discriminator(*, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Lim and Ye 2017)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def wasserstein_discriminator(*, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """D(G(z)) - D(x), the critic's loss (Arjovsky et al. 2017, equation 2)."""
    return fake_logits.mean() - real_logits.mean()


def negative_score(*, fake_logits: Tensor) -> Tensor:
    """-D(G(z)): the generator's loss of both hinge and Wasserstein."""
    return -fake_logits.mean()


LOSSES = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator, score=torch.sigmoid, has_target=True),
    "lsgan": AdversarialLoss(lsgan_discriminator, lsgan_generator, has_target=True),
    "hinge": AdversarialLoss(hinge_discriminator, negative_score),
    "wgan-gp": AdversarialLoss(wasserstein_discriminator, negative_score),
}


def adversarial_loss(
    name: str, d_loss_scale: float = 1.0, real_label: float = 1.0, penalty_weight: float = 0.0
) -> AdversarialLoss:
    """A loss of the table, configured.

    Raises UserError for an unknown name, or a real label other than 1 where the loss has no such target.
    """
    if name not in LOSSES:
        raise UserError(f"unknown loss `{name}`: there are {', '.join(LOSSES)}")
    loss = LOSSES[name]
    if real_label != 1:
        if not loss.has_target:
            raise UserError(f"real_label={real_label}: the loss `{name}` has no target to smooth, set it to 1.0")
        loss = replace(loss, discriminator=partial(loss.discriminator, real_label=real_label))
    return replace(loss, d_loss_scale=d_loss_scale, penalty_weight=penalty_weight)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (|grad D(x)| - 1)^2 at x between real and fake images (Gulrajani et al. 2017, algorithm 1).

    Args:
        critic: images -> (N,) scores; no score may depend on another image.
        real, fake: (N, C, H, W) float32.
        mix: (N,) in [0, 1], how much of the real image each x has.
    """
    between = fake.lerp(real, mix.view(-1, 1, 1, 1)).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

"""Adversarial losses as pairs of pure functions of logits, tabled by name.

Logits are (N,) float32, positive for "real". Every function returns a scalar, averaged over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator and the generator minimise."""

    discriminator: Callable[..., Tensor]
    generator: Callable[..., Tensor]


def bce_discriminator(*, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) with D = sigmoid(logit) (Goodfellow et al. 2014, equation 1)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def bce_generator(*, fake_logits: Tensor) -> Tensor:
    """-log D(G(z)), the non-saturating form (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake_logits).mean()


LOSSES = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator),
}

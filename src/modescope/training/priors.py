"""What a generator is fed: latent vectors and, where the prior has components, their labels."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Latents(NamedTuple):
    """z: (N, D) float32; labels: (N,) int64, the component of each row, or None."""

    z: Tensor
    labels: Tensor | None


class Prior(Protocol):
    """Anything with `sample`."""

    def sample(self, count: int, device: torch.device, generator: torch.Generator | None = None) -> Latents: ...


class NormalPrior:
    """z ~ N(0, I) of `latent_dim` dimensions, without labels."""

    def __init__(self, latent_dim: int):
        self.latent_dim = latent_dim

    def sample(self, count: int, device: torch.device, generator: torch.Generator | None = None) -> Latents:
        """`count` draws; from torch's global generator where none is given."""
        return Latents(torch.randn(count, self.latent_dim, device=device, generator=generator), None)

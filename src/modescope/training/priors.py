"""What a generator is fed: latent vectors and, where the prior has components, their labels."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

FIXED_LATENTS = 8  # that previews and evaluation show with every label

Placement = Literal["diagonal", "sphere", "orthogonal", "close"]
BETWEEN = {"orthogonal": 0.5, "close": 0.125}  # the part of E[|z|^2] that the means carry


class Latents(NamedTuple):
    """z: (N, D) float32; labels: (N,) int64, the component of each row, or None."""

    z: Tensor
    labels: Tensor | None

    def inputs(self, conditional: bool) -> tuple[Tensor, ...]:
        """What a generator is called with: z, and the labels if it is conditional."""
        return tuple(self) if conditional else (self.z,)


class Prior(Protocol):
    """Draws what a generator is fed.

    Attributes:
        num_classes: None where latent vectors have no labels.
    """

    num_classes: int | None

    def known_labels(self) -> Tensor: ...

    def sample(
        self, count: int, device: torch.device, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Latents: ...

    def state(self) -> dict[str, Tensor]: ...


class NormalPrior:
    """z ~ N(0, I) of `latent_dim` dimensions; where there are classes, with a label that z knows nothing of.

    Args:
        latent_dim: D.
        num_classes: K, or None.
        class_share: (K,) float32, how often each label is drawn; None for equally often.
    """

    def __init__(self, latent_dim: int, num_classes: int | None = None, class_share: Tensor | None = None):
        self.latent_dim, self.num_classes, self.class_share = latent_dim, num_classes, class_share
        self._cumulative = None if class_share is None else class_share.cumsum(0)

    def known_labels(self) -> Tensor:
        """(L,) int64: the labels that are ever drawn."""
        return torch.arange(self.num_classes) if self.class_share is None else self.class_share.nonzero().flatten()

    def state(self) -> dict[str, Tensor]:
        """The number of classes and their share, if there are any: the rest is known."""
        classes = {} if self.num_classes is None else {"num_classes": torch.tensor(self.num_classes)}
        return classes if self.class_share is None else classes | {"class_share": self.class_share}

    def sample(
        self, count: int, device: torch.device, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Latents:
        """`count` draws, with `labels` (count,) where given; from torch's global generator where none is given."""
        z = torch.randn(count, self.latent_dim, device=device, generator=generator)
        if self.num_classes is not None and labels is None:
            labels = self._labels(count, device, generator)
        return Latents(z, labels)

    def _labels(self, count: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
        if self._cumulative is None:
            return torch.randint(self.num_classes, (count,), device=device, generator=generator)
        self._cumulative = self._cumulative.to(device)
        drawn = torch.rand(count, device=device, generator=generator)
        return torch.searchsorted(self._cumulative, drawn, right=True).clamp(max=self.num_classes - 1)


class MixturePrior:
    """z ~ N(mu_k, variance I), k uniform over the components (report 1, equations 13 to 15).

    Args:
        means: (K, D) float32.
        variance: of every dimension of every component.
    """

    def __init__(self, means: Tensor, variance: float):
        self.means, self.variance = means, variance
        self._std = means.new_tensor(math.sqrt(variance))

    @property
    def num_classes(self) -> int:
        return len(self.means)

    def known_labels(self) -> Tensor:
        """(K,) int64: all components."""
        return torch.arange(self.num_classes)

    def state(self) -> dict[str, Tensor]:
        """means (K, D) and variance ()."""
        return {"means": self.means, "variance": torch.tensor(self.variance)}

    def sample(
        self, count: int, device: torch.device, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Latents:
        """As of `NormalPrior`; `labels` are components."""
        self.means, self._std = self.means.to(device), self._std.to(device)
        if labels is None:
            labels = torch.randint(len(self.means), (count,), device=device, generator=generator)
        noise = torch.randn(count, self.means.shape[1], device=device, generator=generator)
        return Latents(torch.addcmul(self.means[labels], noise, self._std), labels)


def mixture_prior(placement: Placement, latent_dim: int, components: int, seed: int) -> MixturePrior:
    """The mixtures of the study.

    Args:
        placement: `diagonal`: mu_k = 0.5 k 1, variance 1 (report 1, section 8.3); `sphere`: random directions of length
            8 sqrt(D), variance 0.5 (the report's code); `orthogonal` and `close`: pairwise orthogonal means of equal
            length, variance 0.5 and 0.875, E[z_i^2] = 1 on average over the dimensions, as for N(0, I).
        seed: of the directions of all but `diagonal`.

    Raises:
        ValueError: unknown placement, or more orthogonal means than dimensions.
    """
    directions = torch.randn(latent_dim, components, generator=torch.Generator().manual_seed(seed))
    if placement == "diagonal":
        steps = torch.arange(components).float()[:, None]
        return MixturePrior(0.5 * steps.expand(-1, latent_dim).contiguous(), variance=1.0)
    if placement == "sphere":
        units = (directions / directions.norm(dim=0)).T.contiguous()
        return MixturePrior(8 * math.sqrt(latent_dim) * units, variance=0.5)
    if placement in BETWEEN and components <= latent_dim:
        length, units = math.sqrt(BETWEEN[placement] * latent_dim), torch.linalg.qr(directions).Q.T.contiguous()
        return MixturePrior(length * units, variance=1 - BETWEEN[placement])
    raise ValueError(
        f"expected diagonal, sphere, orthogonal or close, with at most {latent_dim} components, "
        f"received {placement} with {components}"
    )


def build_prior(placement: str, latent_dim: int, components: int, seed: int) -> NormalPrior | MixturePrior:
    """The prior that `prior` in params.yaml names."""
    return NormalPrior(latent_dim) if placement == "normal" else mixture_prior(placement, latent_dim, components, seed)


def kept_prior(weights: Mapping[str, Tensor], latent_dim: int) -> NormalPrior | MixturePrior:
    """The prior of a trained run, by the state that stands among its weights as `prior.*`."""
    if "prior.num_classes" in weights:
        return NormalPrior(latent_dim, weights["prior.num_classes"].item(), weights.get("prior.class_share"))
    if "prior.means" not in weights:
        return NormalPrior(latent_dim)
    return MixturePrior(weights["prior.means"], weights["prior.variance"].item())


def fixed_latents(prior: Prior, device: torch.device) -> Latents:
    """A few latent vectors, each with every label in turn: those that a trained run's sampler draws with seed 0."""
    any_label = torch.zeros(FIXED_LATENTS, dtype=torch.int64)
    z = prior.sample(FIXED_LATENTS, torch.device("cpu"), torch.Generator().manual_seed(0), any_label).z
    known = prior.known_labels().to(device)
    return Latents(z.to(device).repeat_interleave(len(known), 0), known.repeat(FIXED_LATENTS))

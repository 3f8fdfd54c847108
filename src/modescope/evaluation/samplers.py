"""Whatever was trained, evaluation sees `sample(count, seed, labels)`; the seed decides all, a batch size nothing."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.training.priors import Latents, Prior

BATCH_SIZE = 500


class Samples(NamedTuple):
    """images: (N, C, H, W) uint8 on the CPU; labels: (N,) int64 where the run has labels, else None."""

    images: Tensor
    labels: Tensor | None


class Sampler(Protocol):
    """Anything that draws images. `num_classes` is None where no label can be asked for.

    The same seed and count give the same latent vectors, whatever `labels` (count,) int64 are asked for.
    """

    num_classes: int | None

    def sample(self, count: int, seed: int, labels: Tensor | None = None) -> Samples: ...


def check_wanted(labels: Tensor | None, num_classes: int | None) -> None:
    """Raises UserError for labels that a run does not know."""
    if labels is None:
        return
    if num_classes is None:
        raise UserError(
            "this run was trained without labels: ask for none, or choose a run that has some (cgan-bce, say)"
        )
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside):
        raise UserError(f"label {outside[0].item()} is outside 0..{num_classes - 1}: choose one of the run's classes")


class GeneratorSampler:
    """A generator in eval mode, fed by its prior; with labels, too, if it is conditional."""

    def __init__(self, generator: nn.Module, prior: Prior, conditional: bool = False):
        self.generator, self.prior, self.conditional = generator.eval(), prior, conditional
        self.num_classes = prior.num_classes

    @torch.no_grad()
    def sample(self, count: int, seed: int, labels: Tensor | None = None) -> Samples:
        check_wanted(labels, self.num_classes)
        drawn = self.prior.sample(count, torch.device("cpu"), torch.Generator().manual_seed(seed), labels)
        return Samples(torch.cat([self._images(batch) for batch in _batches(drawn)]), drawn.labels)

    def _images(self, batch: Latents) -> Tensor:
        device = next(self.generator.parameters()).device
        inputs = [tensor.to(device) for tensor in batch.inputs(self.conditional)]
        return to_uint8(self.generator(*inputs), low=-1.0).cpu()


def _batches(latents: Latents) -> Iterator[Latents]:
    for start in range(0, len(latents.z), BATCH_SIZE):
        yield Latents(*(None if tensor is None else tensor[start : start + BATCH_SIZE] for tensor in latents))

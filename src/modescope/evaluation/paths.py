"""Paths through a generator, from one z to another and from one label to the next, beside blends of real images."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from modescope.data.batches import to_uint8
from modescope.evaluation.failures import Doubt
from modescope.evaluation.features import Extractor, extract_features
from modescope.evaluation.samplers import BATCH_SIZE, GeneratorSampler
from modescope.training.priors import MixturePrior

POINTS = 11  # on a path, its ends included


def spherical(one: Tensor, other: Tensor, points: int = POINTS) -> Tensor:
    """(N, D), (N, D) -> (N, points, D) on the arcs between them: at N(0, I) as likely as the ends (White 2016)."""
    at = torch.linspace(0, 1, points)[:, None]
    cosine = torch.cosine_similarity(one, other, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = cosine.acos()[:, None, None]
    return (((1 - at) * angle).sin() * one[:, None] + (at * angle).sin() * other[:, None]) / angle.sin()


class Walker:
    """Draws paths of a generator: (N, points, C, H, W) uint8. Path i begins at label i modulo the number of labels."""

    def __init__(self, sampler: GeneratorSampler, count: int, seed: int):
        self.sampler = sampler
        draw = torch.Generator().manual_seed(seed)
        self.one, self.other = (torch.randn(count, sampler.generator.latent_dim, generator=draw) for _ in range(2))
        known = torch.zeros(1, dtype=torch.int64) if sampler.num_classes is None else sampler.prior.known_labels().cpu()
        self.labels, self.next = (known[(torch.arange(count) + ahead) % len(known)] for ahead in (0, 1))

    def between_latents(self) -> Tensor:
        """From one z to another, the label kept."""
        return self._walk(spherical(self.one, self.other), torch.zeros(POINTS))

    def between_labels(self) -> Tensor:
        """From a label to the next, z kept: embeddings mixed, or the means of a mixture."""
        return self._walk(self.one[:, None].expand(-1, POINTS, -1), torch.linspace(0, 1, POINTS))

    @torch.no_grad()
    def _walk(self, noise: Tensor, share: Tensor) -> Tensor:
        ends = (each.repeat_interleave(POINTS) for each in (self.labels, self.next))
        flat = (noise.flatten(0, 1), share.repeat(len(noise)), *ends)
        batches = zip(*(each.split(BATCH_SIZE) for each in flat), strict=True)
        return torch.cat([self._draw(*batch) for batch in batches]).unflatten(0, noise.shape[:2])

    def _draw(self, noise: Tensor, share: Tensor, labels: Tensor, others: Tensor) -> Tensor:
        prior, generator = self.sampler.prior, self.sampler.generator
        device = next(generator.parameters()).device
        if isinstance(prior, MixturePrior):
            means = torch.lerp(prior.means.cpu()[labels], prior.means.cpu()[others], share[:, None])
            noise = means + math.sqrt(prior.variance) * noise
        if not self.sampler.conditional:
            return to_uint8(generator(noise.to(device)), low=-1.0).cpu()
        with mixed_embeddings(generator, others.to(device), share.to(device)):
            return to_uint8(generator(noise.to(device), labels.to(device)), low=-1.0).cpu()


@contextmanager
def mixed_embeddings(network: nn.Module, others: Tensor, share: Tensor) -> Iterator[None]:
    """Inside, every embedding of a label gives what lies between it and that of `others` (N,), `share` (N,) of it."""

    def mix(layer: nn.Embedding, _: tuple[Tensor, ...], found: Tensor) -> Tensor:
        return torch.lerp(found, layer.weight[others], share[:, None])

    hooks = [layer.register_forward_hook(mix) for layer in network.modules() if isinstance(layer, nn.Embedding)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def blends(images: Tensor, other: Tensor) -> Tensor:
    """Real images (N, C, H, W) uint8 fading into others: (N, points, C, H, W) uint8, what a path must beat."""
    at = torch.linspace(0, 1, POINTS).view(-1, 1, 1, 1)
    return torch.lerp(images[:, None].float(), other[:, None].float(), at).round().to(torch.uint8)


def path_metrics(paths: Tensor, judge: Extractor) -> dict[str, float]:
    """How smooth paths (N, points, C, H, W) uint8 are, in the mean.

    Returns:
        changes: of the judged class along a path; jump: the largest step in pixels over the mean one, 1 for even steps;
        sure: the lowest probability of the judge's best guess on a path.
    """
    doubt = Doubt.of(extract_features(paths.flatten(0, 1), judge).logits)
    best, sure = (each.unflatten(0, paths.shape[:2]) for each in (doubt.best, doubt.sure))
    steps = paths.float().diff(dim=1).flatten(2).norm(dim=2)
    jump = steps.amax(1) / steps.mean(1).clamp(min=1e-6)
    return {
        "changes": (best.diff(dim=1) != 0).double().sum(1).mean().item(),
        "jump": jump[steps.sum(1) > 0].double().mean().item() if steps.any() else 1.0,
        "sure": sure.amin(1).mean().item(),
    }

"""Samplers: whatever was trained, evaluation sees `sample(count, seed, labels) -> uint8 images`. A seed decides
everything, a batch size nothing.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from modescope.config import CganConfig, Gan, GANConfig, ResidualGan, Stage1Config
from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.files import read_json
from modescope.models import residual_gan
from modescope.models.adapters import adapt
from modescope.models.cgan import build_cgan_generator
from modescope.models.stage1 import stage1_generator
from modescope.models.upsampling_gan import build_generator
from modescope.models.weights import WEIGHTS, part
from modescope.training.priors import Latents, Prior, kept_prior

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
        return to_uint8(
            self.generator(*(tensor.to(device) for tensor in batch.inputs(self.conditional))), low=-1.0
        ).cpu()


def _batches(latents: Latents) -> Iterator[Latents]:
    for start in range(0, len(latents.z), BATCH_SIZE):
        yield Latents(*(None if tensor is None else tensor[start : start + BATCH_SIZE] for tensor in latents))


def _generator_sampler(
    generator: nn.Module,
    weights: dict[str, Tensor],
    latent_dim: int,
    device: torch.device | str,
    conditional: bool = False,
) -> GeneratorSampler:
    """`generator` with the run's weights and prior."""
    generator.load_state_dict(part(weights, "generator"))
    return GeneratorSampler(generator.to(device), kept_prior(weights, latent_dim), conditional)


def _load_gan(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> GeneratorSampler:
    settings = Gan(**params["imbalance"]["gan"])
    return _generator_sampler(build_generator(settings, channels=3), weights, settings.latent_dim, device)


def _load_gan_ours(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> GeneratorSampler:
    settings = ResidualGan(**params["imbalance"]["gan-ours"])
    num_classes = kept_prior(weights, settings.latent_dim).num_classes
    generator = residual_gan.build_generator(settings, channels=3, num_classes=num_classes)
    return _generator_sampler(generator, weights, settings.latent_dim, device, conditional=True)


def _load_stage1(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> GeneratorSampler:
    config = Stage1Config(**{name: params[name] for name in Stage1Config.model_fields})
    return _generator_sampler(stage1_generator(config, channels=3), weights, config.latent_dim, device)


def _load_stage2(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> GeneratorSampler:
    config = GANConfig(**{name: params[name] for name in GANConfig.model_fields})
    generator = adapt(stage1_generator(config, channels=3), config, channels=3, pixels=32)
    return _generator_sampler(generator, weights, config.latent_dim, device)


def _load_vae(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> Sampler:
    from modescope.evaluation.vae_samplers import (
        load_vae,
    )  # brings pythae and scikit-learn, which nothing else here needs

    return load_vae(params, weights, device)


def _load_hybrid(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> GeneratorSampler:
    gan, vae = params["imbalance"]["gan"], params["imbalance"]["vae"]
    return _load_gan({"imbalance": {"gan": gan | {"latent_dim": vae["latent_dim"]}}}, weights, device)


def _load_cgan(
    params: dict, weights: dict[str, Tensor], device: torch.device | str, channels: int = 1
) -> GeneratorSampler:
    config = CganConfig(**{name: params[name] for name in CganConfig.model_fields})
    num_classes = kept_prior(weights, config.latent_dim).num_classes
    generator = build_cgan_generator(config, channels, num_classes)
    return _generator_sampler(generator, weights, config.latent_dim, device, conditional=num_classes is not None)


LOADERS = {
    "gan": _load_gan,
    "gan-ours": _load_gan_ours,
    "stage1": _load_stage1,
    "stage2": _load_stage2,
    "vae": _load_vae,
    "vae-gmm": _load_vae,
    "hybrid": _load_hybrid,
    "cgan": _load_cgan,
    "stacked": partial(_load_cgan, channels=3),
}


def load_sampler(folder: Path, device: torch.device | str = "cpu") -> Sampler:
    """The sampler of a trained run on `device`, from its run.json and model.safetensors.

    Raises UserError if either file is missing, or the run cannot be sampled.
    """
    info = read_json(folder / "run.json")
    if info["model"] not in LOADERS:
        raise UserError(
            f"{folder} holds a `{info['model']}`, which cannot be sampled: choose one of {', '.join(LOADERS)}"
        )
    if not (folder / WEIGHTS).exists():
        raise UserError(f"{folder / WEIGHTS} is missing: run `dvc repro`, or `dvc checkout` if it ran before")
    return LOADERS[info["model"]](info["params"], load_file(folder / WEIGHTS), device)

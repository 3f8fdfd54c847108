"""From a trained run's folder to its sampler."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modescope.config import CganConfig, Gan, GANConfig, ResidualGan, Stage1Config
from modescope.errors import UserError
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.files import read_json
from modescope.models import residual_gan, upsampling_gan
from modescope.models.adapters import adapt
from modescope.models.cgan import build_cgan_generator
from modescope.models.stage1 import stage1_generator
from modescope.models.weights import fitting, load_weights, part
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE
from modescope.training.priors import kept_prior

Params = dict[str, Any]


def _gan(params: Params, _: int | None) -> nn.Module:
    return upsampling_gan.build_generator(Gan(**params["imbalance"]["gan"]), channels=3)


def _gan_ours(params: Params, num_classes: int | None) -> nn.Module:
    return residual_gan.build_generator(ResidualGan(**params["imbalance"]["gan-ours"]), 3, num_classes)


def _hybrid(params: Params, _: int | None) -> nn.Module:
    gan, vae = params["imbalance"]["gan"], params["imbalance"]["vae"]
    return upsampling_gan.build_generator(Gan(**gan | {"latent_dim": vae["latent_dim"]}), channels=3)


def _stage1(params: Params, _: int | None) -> nn.Module:
    return stage1_generator(Stage1Config.of(params), channels=3)


def _stage2(params: Params, _: int | None) -> nn.Module:
    config = GANConfig.of(params)
    return adapt(stage1_generator(config, channels=3), config, channels=3, pixels=32)


def _cgan(params: Params, num_classes: int | None, channels: int = 1) -> nn.Module:
    return build_cgan_generator(CganConfig.of(params), channels, num_classes)


# `model` of a run -> its generator, from the run's parameters and how many labels it knows
GENERATORS: dict[str, Callable[[Params, int | None], nn.Module]] = {
    "gan": _gan,
    "gan-ours": _gan_ours,
    "stage1": _stage1,
    "stage2": _stage2,
    "hybrid": _hybrid,
    "cgan": _cgan,
    "stacked": partial(_cgan, channels=3),
}
VAES = ("vae", "vae-gmm")


def load_sampler(folder: Path, device: torch.device | str = "cpu") -> Sampler:
    """The sampler of a trained run on `device`, from its run.json and model.safetensors.

    Raises UserError if either file is missing or damaged, they do not belong together, or the run cannot be sampled.
    """
    info = read_json(folder / RUN_FILE, model=str, params=dict)
    model, params = info["model"], info["params"]
    if model not in (*GENERATORS, *VAES):
        known = ", ".join((*GENERATORS, *VAES))
        raise UserError(f"{folder} holds a `{model}`, which cannot be sampled: choose one of {known}")
    weights = load_weights(folder / WEIGHTS_FILE)
    with fitting(folder):
        sampler = _build(model, params, weights, device)
        sampler.sample(1, seed=0)  # what does not fit shows
    return sampler


def _build(model: str, params: Params, weights: dict[str, Tensor], device: torch.device | str) -> Sampler:
    if model in VAES:
        from modescope.evaluation.vae_samplers import load_vae  # brings pythae and scikit-learn: GANs do without

        return load_vae(params, weights, device)
    num_classes = weights["prior.num_classes"].item() if "prior.num_classes" in weights else None
    generator = GENERATORS[model](params, num_classes)
    generator.load_state_dict(part(weights, "generator"))
    prior = kept_prior(weights, generator.latent_dim)
    conditional = getattr(generator, "num_classes", None) is not None
    return GeneratorSampler(generator.to(device), prior, conditional)

"""Stage `hybrid`: train a VAE and a GAN as one (study 1b); test the codes against N(0, I) before, between and after."""

from functools import partial
from pathlib import Path

import torch
from pythae.models import VAE

from modescope.config import Vae, load_params, merge
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.normality import code_normality
from modescope.files import read_json
from modescope.models.vae import build_vae
from modescope.process import run_stage
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.device import training_device
from modescope.training.hybrid import hybrid_training


def main(vae: Path, data: Path, split: Path, out: Path) -> None:
    """Join the run VAE to a new GAN on the images of DATA that SPLIT names; write the run's folder OUT."""
    params, device = load_params(), training_device()
    given = load_training_data(data, split, device)
    model, coder = load_vae(vae, given.split, device)
    read = merge(params.subset("seed", "hybrid", "imbalance.gan"), {"imbalance": {"vae": coder.model_dump()}})
    info = describe_training("hybrid", "two-stage", "hybrid", "hybrid", read, params, given, vae=vae / WEIGHTS_FILE)
    measure = partial(code_normality, images=given.images, settings=params.hybrid, seed=params.seed)
    moments = {"untrained": measure(untrained_vae(coder, params.seed, device)), "vae": measure(model)}
    training = hybrid_training(params.hybrid, params.imbalance.gan, coder, model, *given[:2], params.seed)
    train_run(info, training, out, lambda: {"normality": moments | {"joint": measure(model)}})


def load_vae(run: Path, split: str, device: torch.device) -> tuple[VAE, Vae]:
    """A run's VAE and its settings.

    Raises UserError if the run holds another model, or was trained on another split.
    """
    info = read_json(run / RUN_FILE)
    if info["model"] != "vae":
        raise UserError(
            f"{run} holds a `{info['model']}`: the hybrid starts from a vae, "
            f"name the folder of one, as models/imbalance/vae-{split}"
        )
    if info["data"]["split"] != split:
        raise UserError(f"{run} was trained on {info['data']['split']}, not on {split}: name that split's file")
    return load_sampler(run, device).sampler.model, Vae(**info["params"]["imbalance"]["vae"])


def untrained_vae(settings: Vae, seed: int, device: torch.device) -> VAE:
    """The VAE from which the stage `imbalance` started."""
    torch.manual_seed(seed)
    return build_vae(settings.latent_dim).to(device)


if __name__ == "__main__":
    run_stage(main)

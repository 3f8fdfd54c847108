"""Stage `hybrid`: train a VAE and a GAN as one (study 1b), and test the codes against N(0, I) before, between and
after.
"""

from functools import partial
from pathlib import Path

import torch
from pythae.models import VAE
from torch import Tensor

from modescope.config import Vae, load_params, merge
from modescope.config.imbalance import Hybrid
from modescope.data.batches import to_unit
from modescope.data.order import random_order
from modescope.errors import UserError
from modescope.evaluation.features import FULL_FLOAT32
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.normality import normality
from modescope.evaluation.samplers import BATCH_SIZE
from modescope.files import read_json
from modescope.models.vae import build_vae
from modescope.models.weights import WEIGHTS
from modescope.process import run_stage
from modescope.runs.key import describe_run
from modescope.stages.trained_run import hardware, load_training_data, train_run
from modescope.training.device import training_device
from modescope.training.hybrid import hybrid_training


def main(vae: Path, data: Path, split: Path, out: Path) -> None:
    """Join the run VAE to a new GAN on the images of DATA that SPLIT names; write the run's folder OUT."""
    params, device = load_params(), training_device()
    given = load_training_data(data, split, device)
    model, settings = load_vae(vae, given.described["split"], device)
    info = describe_run(
        module="modescope.stages.hybrid",
        study="two-stage",
        run="hybrid",
        model="hybrid",
        params=merge(
            params.subset("seed", "precision", "deterministic", "hybrid", "imbalance.gan"),
            {"imbalance": {"vae": settings.model_dump()}},
        ),
        inputs={**given.files, "vae": vae / WEIGHTS},
        data=given.described,
        hardware=hardware(device, params),
    )
    measure = partial(measure_codes, images=given.images, settings=params.hybrid, seed=params.seed)
    moments = {"untrained": measure(untrained_vae(settings, params.seed, device)), "vae": measure(model)}
    training = hybrid_training(params.hybrid, params.imbalance.gan, settings, model, *given[:2], params.seed)
    train_run(info, training, out, lambda: {"normality": moments | {"joint": measure(model)}})


def load_vae(run: Path, split: str, device: torch.device) -> tuple[VAE, Vae]:
    """A run's VAE and its settings. Raises UserError if the run holds another model, or was trained on another split."""
    info = read_json(run / "run.json")
    if info["model"] != "vae":
        raise UserError(
            f"{run} holds a `{info['model']}`: the hybrid starts from a vae, name the folder of one, as models/imbalance/vae-{split}"
        )
    if info["data"]["split"] != split:
        raise UserError(f"{run} was trained on {info['data']['split']}, not on {split}: name that split's file")
    return load_sampler(run, device).sampler.model, Vae(**info["params"]["imbalance"]["vae"])


def untrained_vae(settings: Vae, seed: int, device: torch.device) -> VAE:
    """The VAE from which the stage `imbalance` started."""
    torch.manual_seed(seed)
    return build_vae(settings.latent_dim).to(device)


def measure_codes(vae: VAE, images: Tensor, settings: Hybrid, seed: int) -> dict[str, float]:
    """`normality` of the codes of settings.num_codes images out of images (N, 3, 32, 32) uint8; the seed decides which.

    Raises UserError if there are fewer images.
    """
    if settings.num_codes > len(images):
        raise UserError(f"hybrid.num_codes is {settings.num_codes}, but there are {len(images)} images: lower it")
    chosen = random_order(len(images), seed, 1)[: settings.num_codes].to(images.device)
    return normality(draw_codes(vae, images[chosen], seed), settings.permutations, seed)


@torch.inference_mode()
def draw_codes(vae: VAE, images: Tensor, seed: int) -> Tensor:
    """z = mu(x) + sigma(x) * eps of images x (N, 3, 32, 32) uint8, eps by the seed: (N, D) float32 on the CPU."""
    with FULL_FLOAT32():
        outputs = [vae.encoder(to_unit(batch)) for batch in images.split(BATCH_SIZE)]
    mean, log_variance = (
        torch.cat([output[name] for output in outputs]).cpu() for name in ("embedding", "log_covariance")
    )
    return mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))


if __name__ == "__main__":
    run_stage(main)

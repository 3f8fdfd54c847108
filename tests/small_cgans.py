"""Study 3's trainings, as small as they get."""

import torch

from fakes import ListLog
from modescope.config import CganConfig, parse_params, profile_values
from modescope.training.cgan import cgan_training
from modescope.training.checkpoints import Checkpoint
from modescope.training.loop import train
from modescope.training.objective import Training

PARAMS = parse_params(profile_values("standard"), "standard")
SMALL = {
    "latent_dim": 6,
    "generator_width": 4,
    "discriminator_width": 2,
    "critic_width": 2,
    "batch_size": 8,
    "generator_steps": 6,
}
IMAGES = torch.randint(0, 256, (40, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(40) % 10


def config(loss: str = "bce", mode: str = "cgan", **changes) -> CganConfig:
    """The settings of a loss with small networks."""
    return PARAMS.cgan.resolve({"loss": loss, "mode": mode, **SMALL, **changes}, "test")


def training(seed: int = 1, images=IMAGES, labels=LABELS, settings: CganConfig | None = None, **changes) -> Training:
    """A training of `config(**changes)` on 40 images of noise."""
    return cgan_training(settings or config(**changes), images, labels, 10, seed)


def run(training: Training, folder, log=None, **options) -> dict[str, torch.Tensor]:
    """Train, with a checkpoint after every step, and return the weights; `options` are the checkpoint's."""
    train(training, log=log or ListLog(), checkpoint=Checkpoint(folder, seconds=0.0, **options), precision="fp32")
    return training.objective.weights()

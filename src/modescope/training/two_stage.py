"""Study 2: a GAN on a mixture prior, then the same game with a classifier's guidance (report 1, sections 8 to 11)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from modescope.config import GANConfig, Stage1Config
from modescope.data.batches import BatchStream
from modescope.errors import UserError
from modescope.models.adapters import AdaptedGenerator, adapt
from modescope.models.stage1 import stage1_discriminator, stage1_generator
from modescope.models.weights import load_weights, part
from modescope.training.adversarial import AdversarialObjective, GuidanceTerm, adversarial_phases
from modescope.training.losses import adversarial_loss
from modescope.training.objective import Training, count_steps
from modescope.training.priors import Prior, build_prior, kept_prior

START_IMAGES = 2048  # of stage 1, that the adapters' start is fitted to


class Stage1(NamedTuple):
    """Two networks and what the generator is fed."""

    generator: nn.Module
    discriminator: nn.Module
    prior: Prior


def new_stage1(config: Stage1Config, channels: int, num_classes: int) -> Stage1:
    """Untrained networks, decided by the seed. Raises UserError for a prior that latent_dim has no room for."""
    torch.manual_seed(config.seed)
    try:
        prior = build_prior(config.prior, config.latent_dim, num_classes, config.seed)
    except ValueError as error:
        raise UserError(f"prior={config.prior}: {error}") from None
    return Stage1(stage1_generator(config, channels), stage1_discriminator(config, channels), prior)


def load_stage1(weights: Path, config: Stage1Config, channels: int) -> Stage1:
    """A trained stage 1 from its model.safetensors.

    Raises UserError for no file, or one of another architecture or prior.
    """
    networks = {
        "generator": stage1_generator(config, channels),
        "discriminator": stage1_discriminator(config, channels),
    }
    if not weights.is_file():
        raise UserError(f"{weights} is missing: run `dvc repro stage1`, or `dvc checkout` if it ran before")
    tensors = load_weights(weights, "stage 1")
    try:
        for name, network in networks.items():
            network.load_state_dict(part(tensors, name))
    except RuntimeError as error:
        wanted = f"latent_dim {config.latent_dim}, ngf {config.ngf}, ndf {config.ndf}"
        raise UserError(
            f"{weights} holds no stage 1 of {wanted} ({str(error).splitlines()[-1].strip()}): "
            f"set them as it was trained, and `network`, which is {config.network} here"
        ) from None
    prior = kept_prior(tensors, config.latent_dim)
    if not _is_placed(prior, config):
        raise UserError(f"{weights} was not trained on the prior `{config.prior}`: set `prior` as it was trained")
    return Stage1(**networks, prior=prior)


def _is_placed(prior: Prior, config: Stage1Config) -> bool:
    """Whether the means lie as far out as those of the placement that `config` names, whatever its seed."""
    if prior.num_classes is None or config.prior == "normal":
        return prior.num_classes is None and config.prior == "normal"
    named = build_prior(config.prior, config.latent_dim, prior.num_classes, config.seed)
    return torch.allclose(prior.means.norm(dim=1), named.means.norm(dim=1), rtol=1e-3)


def stage1_training(config: Stage1Config, start: Stage1, data: tuple[Tensor, Tensor]) -> Training:
    """Adversarial training alone on images and labels `data`; no step at all where a checkpoint gave the networks."""
    budget = Budget(config.stage1_epochs, config.stage1_max_generator_steps, config.stage1_n_gen)
    training = _training(config, start, data, budget)
    return training if config.stage1_checkpoint is None else training._replace(num_steps=0)


def stage2_training(config: GANConfig, start: Stage1, guidance: GuidanceTerm, data: tuple[Tensor, Tensor]) -> Training:
    """L_G = BCE(D(x'), 1) + lambda CE(C(x'), k) on images and labels `data` (report 1, equations 19, 22 and 30).

    Args:
        start: its generator is what `adapted_generator` made; only what requires a gradient is trained.
    """
    budget = Budget(config.stage2_epochs, config.stage2_max_generator_steps, config.n_gen)
    return _training(config, start, data, budget, [guidance])


class Budget(NamedTuple):
    """How long a stage trains: neither limit is exceeded; `n_gen` updates of the generator are one iteration."""

    epochs: int
    max_generator_steps: int
    n_gen: int


def _training(
    config: Stage1Config,
    start: Stage1,
    data: tuple[Tensor, Tensor],
    budget: Budget,
    guidance: Sequence[GuidanceTerm] = (),
) -> Training:
    stream = BatchStream(*data, config.batch_size, config.seed, config.flip)
    limit = budget.max_generator_steps // budget.n_gen
    num_steps = count_steps(budget.epochs, stream.steps_per_epoch, limit, batches_per_step=config.n_critic)
    generator, discriminator = (net.to(data[0].device, memory_format=torch.channels_last) for net in start[:2])
    falls_for = num_steps if config.lr_schedule == "linear" else None
    phases = adversarial_phases(discriminator, generator, config, config.n_critic, budget.n_gen, falls_for)
    loss = adversarial_loss(config.loss)
    objective = AdversarialObjective(*phases, loss, start.prior, guidance=guidance, ema_decay=config.ema_decay)
    return Training(objective, stream, num_steps)


@torch.no_grad()
def adapted_generator(config: GANConfig, start: Stage1, images: Tensor) -> tuple[nn.Module, dict[str, float]]:
    """Stage 2's generator, on the device of the training images (N, C, H, H), and what its start cost; by the seed.

    Returns:
        the generator, and `adapter_parameters`, `start_mse` (mean squared difference from stage 1's images, which lie
        in [-1, 1]); an empty dictionary for architecture A.
    """
    torch.manual_seed(config.seed)
    _, channels, _, pixels = images.shape
    adapted = adapt(start.generator, config, channels, pixels).to(images.device, memory_format=torch.channels_last)
    if not isinstance(adapted, AdaptedGenerator):
        return adapted, {}
    z = start.prior.sample(START_IMAGES, images.device).z
    if config.adapter_start == "identity":
        adapted.start_as_identity(z)
    few = z[:256]
    error = (adapted.eval()(few) - adapted.generator(few)).square().mean().item()
    return adapted.train(), {"adapter_parameters": trainable_parameters(adapted), "start_mse": error}


def trainable_parameters(module: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

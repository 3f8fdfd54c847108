"""Study 2's trainings: a DCGAN on a mixture prior, then the same adversarial game with a classifier's guidance (report
1, sections 8 to 11).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from modescope.config import GANConfig, Stage1Config
from modescope.data.batches import BatchStream
from modescope.errors import UserError
from modescope.models.adapters import AdaptedGenerator, adapt
from modescope.models.stage1 import stage1_discriminator, stage1_generator
from modescope.models.weights import part
from modescope.training.adversarial import AdversarialObjective, GuidanceTerm
from modescope.training.device import fused
from modescope.training.iteration import Phase, Training, learning_rate
from modescope.training.losses import adversarial_loss
from modescope.training.priors import Prior, build_prior, kept_prior

START_IMAGES = 2048  # of stage 1, that the adapters' start is fitted to


class Stage1(NamedTuple):
    """Two networks and what the generator is fed."""

    generator: nn.Module
    discriminator: nn.Module
    prior: Prior


def new_stage1(config: Stage1Config, channels: int, num_classes: int) -> Stage1:
    """Untrained, torch's own initialisation, decided by the seed. Raises UserError for a prior that latent_dim has no
    room for.
    """
    torch.manual_seed(config.seed)
    try:
        prior = build_prior(config.prior, config.latent_dim, num_classes, config.seed)
    except ValueError as error:
        raise UserError(f"prior={config.prior}: {error}") from None
    return Stage1(stage1_generator(config, channels), stage1_discriminator(config, channels), prior)


def load_stage1(weights: Path, config: Stage1Config, channels: int) -> Stage1:
    """A trained stage 1 from its model.safetensors. Raises UserError for a file of another architecture or prior, or
    none.
    """
    networks = {
        "generator": stage1_generator(config, channels),
        "discriminator": stage1_discriminator(config, channels),
    }
    try:
        tensors = load_file(weights)
        for name, network in networks.items():
            network.load_state_dict(part(tensors, name))
    except FileNotFoundError:
        raise UserError(f"{weights} is missing: run `dvc repro stage1`, or `dvc checkout` if it ran before") from None
    except (RuntimeError, SafetensorError) as error:
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
    """Adversarial training alone on images and labels `data`; no step at all where `config.stage1_checkpoint` gave the
    networks.
    """
    stream = BatchStream(*data, config.batch_size, config.seed, config.flip)
    num_steps = _iterations(
        config.stage1_epochs, stream, config.n_critic, config.stage1_max_generator_steps, config.stage1_n_gen
    )
    objective = _objective(config, start, (config.stage1_n_gen, num_steps), data[0].device)
    return Training(objective, stream, num_steps if config.stage1_checkpoint is None else 0)


def stage2_training(config: GANConfig, start: Stage1, guidance: GuidanceTerm, data: tuple[Tensor, Tensor]) -> Training:
    """L_G = BCE(D(x'), 1) + lambda CE(C(x'), k) on images and labels `data` (report 1, equations 19, 22 and 30).

    Args:
        start: its generator is what `adapted_generator` made; only what requires a gradient is trained.
    """
    stream = BatchStream(*data, config.batch_size, config.seed, config.flip)
    num_steps = _iterations(
        config.stage2_epochs, stream, config.n_critic, config.stage2_max_generator_steps, config.n_gen
    )
    return Training(_objective(config, start, (config.n_gen, num_steps), data[0].device, [guidance]), stream, num_steps)


@torch.no_grad()
def adapted_generator(config: GANConfig, start: Stage1, images: Tensor) -> tuple[nn.Module, dict[str, float]]:
    """Stage 2's generator, on the device of the training images (N, C, H, H), and what its start cost. The seed decides
    both.

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


def _objective(
    config: Stage1Config,
    start: Stage1,
    budget: tuple[int, int],
    device: torch.device,
    guidance: Sequence[GuidanceTerm] = (),
) -> AdversarialObjective:
    """`budget`: generator steps an iteration, and iterations."""
    generator, discriminator = (network.to(device, memory_format=torch.channels_last) for network in start[:2])
    n_gen, num_steps = budget
    phases = [
        _phase("d", discriminator, config.lr_discriminator, config, (config.n_critic, num_steps)),
        _phase("g", generator, config.lr_generator, config, (n_gen, num_steps)),
    ]
    loss = adversarial_loss(config.loss)
    return AdversarialObjective(*phases, loss, start.prior, guidance=guidance, ema_decay=config.ema_decay)


def _phase(name: str, module: nn.Module, lr: float, config: Stage1Config, budget: tuple[int, int]) -> Phase:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, betas=tuple(config.betas), **fused(lr, trained[0].device))
    steps, num_steps = budget
    return Phase(name, module, optimizer, steps, learning_rate(lr, config.lr_schedule, num_steps))


def _iterations(epochs: int, stream: BatchStream, n_critic: int, max_generator_steps: int, n_gen: int) -> int:
    """An epoch shows the discriminator every image once; neither limit is exceeded, one iteration is the least."""
    return max(1, min(int(epochs * stream.steps_per_epoch / n_critic), max_generator_steps // n_gen))

"""Study 1's GAN, ready to train."""

import torch
from torch import Tensor

from modescope.config import Gan
from modescope.data.batches import BatchStream
from modescope.models.upsampling_gan import build_discriminator, build_generator
from modescope.training.adversarial import AdversarialObjective
from modescope.training.device import fused
from modescope.training.iteration import Phase, Training
from modescope.training.losses import adversarial_loss
from modescope.training.priors import NormalPrior


def gan_training(settings: Gan, images: Tensor, labels: Tensor, seed: int) -> Training:
    """Study 1's GAN on images (N, C, 32, 32) uint8 with labels (N,), on their device."""
    loss = adversarial_loss(settings.loss, settings.d_loss_scale)
    stream = BatchStream(images, labels, settings.batch_size, seed)
    torch.manual_seed(seed)
    channels = images.shape[1]
    networks = build_discriminator(settings, channels), build_generator(settings, channels)
    phases = [
        Phase(
            name,
            network,
            torch.optim.Adam(network.parameters(), betas=tuple(settings.betas), **fused(settings.lr, images.device)),
        )
        for name, network in zip(
            "dg", (net.to(images.device, memory_format=torch.channels_last) for net in networks), strict=True
        )
    ]
    objective = AdversarialObjective(*phases, loss, NormalPrior(settings.latent_dim), ema_decay=settings.ema_decay)
    return Training(objective, stream, min(settings.max_steps, int(settings.epochs * stream.steps_per_epoch)))

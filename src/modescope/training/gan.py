"""Study 1's GANs, ready to train: the report's, and ours, which is given labels."""

import torch
from torch import Tensor, nn

from modescope.config import Gan, ResidualGan
from modescope.data.batches import BatchStream
from modescope.models import residual_gan, upsampling_gan
from modescope.training.adversarial import AdversarialObjective, adversarial_phases
from modescope.training.losses import adversarial_loss
from modescope.training.objective import Training, count_steps
from modescope.training.priors import NormalPrior


def gan_training(settings: Gan | ResidualGan, images: Tensor, labels: Tensor, seed: int) -> Training:
    """Study 1's GAN on images (N, C, 32, 32) uint8 with labels (N,), on their device.

    Ours draws labels as often as the images have them, so that its images may stand beside those of the others.
    """
    conditional = isinstance(settings, ResidualGan)
    loss = adversarial_loss(settings.loss, settings.d_loss_scale)
    stream = BatchStream(images, labels, settings.batch_size, seed, flip=conditional and settings.flip)
    if conditional:
        num_steps, n_critic = settings.generator_steps, settings.n_critic
        falls_for = num_steps if settings.lr_schedule == "linear" else None
    else:
        num_steps, n_critic = count_steps(settings.epochs, stream.steps_per_epoch, settings.max_steps), 1
        falls_for = None
    torch.manual_seed(seed)
    prior = labelled_prior(settings.latent_dim, labels) if conditional else NormalPrior(settings.latent_dim)
    networks = [
        network.to(images.device, memory_format=torch.channels_last)
        for network in _networks(settings, images.shape[1], prior.num_classes)
    ]
    phases = adversarial_phases(*networks, settings, n_critic, falls_for=falls_for)
    objective = AdversarialObjective(*phases, loss, prior, ema_decay=settings.ema_decay, conditional=conditional)
    return Training(objective, stream, num_steps)


def _networks(settings: Gan | ResidualGan, channels: int, num_classes: int | None) -> tuple[nn.Module, nn.Module]:
    """Discriminator and generator."""
    if isinstance(settings, ResidualGan):
        return (
            residual_gan.build_discriminator(settings, channels, num_classes),
            residual_gan.build_generator(settings, channels, num_classes),
        )
    return upsampling_gan.build_discriminator(settings, channels), upsampling_gan.build_generator(settings, channels)


def labelled_prior(latent_dim: int, labels: Tensor) -> NormalPrior:
    """N(0, I) with labels as often as `labels` (N,) has them; classes go up to the largest of them."""
    counts = labels.bincount()
    return NormalPrior(latent_dim, len(counts), (counts / counts.sum()).float())

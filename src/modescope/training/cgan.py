"""Study 3's trainings: one adversarial loss, with labels or without (report 2)."""

import torch
from torch import Tensor

from modescope.config import CganConfig
from modescope.data.batches import BatchStream
from modescope.models.cgan import build_cgan_discriminator, build_cgan_generator
from modescope.training.adversarial import AdversarialObjective, adversarial_phases
from modescope.training.losses import adversarial_loss
from modescope.training.objective import Training
from modescope.training.priors import NormalPrior


def cgan_training(config: CganConfig, images: Tensor, labels: Tensor, num_classes: int, seed: int) -> Training:
    """A generator against its loss's discriminator, on images (N, C, 28, 28) uint8 with labels (N,) on their device.

    Without labels (`config.mode` dcgan) the same networks are trained, and the labels are not looked at. Raises
    UserError for an unknown loss, or a smoothed target where the loss has none.
    """
    loss = adversarial_loss(config.loss, config.d_loss_scale, config.real_label, config.lambda_gp)
    stream = BatchStream(images, labels, config.batch_size, seed)
    torch.manual_seed(seed)
    channels, classes = images.shape[1], num_classes if config.mode == "cgan" else None
    discriminator = build_cgan_discriminator(config, channels, classes).to(images.device)  # its linear layers want NCHW
    generator = build_cgan_generator(config, channels, classes).to(images.device, memory_format=torch.channels_last)
    phases = adversarial_phases(discriminator, generator, config, config.n_critic)
    prior = NormalPrior(config.latent_dim, classes)
    objective = AdversarialObjective(
        *phases, loss, prior, ema_decay=config.ema_decay, conditional=classes is not None, share_fakes=False
    )
    return Training(objective, stream, config.generator_steps)

"""Study 2's networks before guidance: those that `network` of a `config.Stage1Config` names."""

from torch import nn

from modescope.models.dcgan import DCGANDiscriminator, DCGANGenerator
from modescope.models.residual_gan import ResidualDiscriminator, ResidualGenerator


def stage1_generator(config, channels: int) -> nn.Module:
    """z (N, latent_dim) -> images (N, channels, 32, 32) in [-1, 1]; `ngf` is its width."""
    network = {"dcgan": DCGANGenerator, "residual": ResidualGenerator}[config.network]
    return network(config.latent_dim, config.ngf, channels)


def stage1_discriminator(config, channels: int) -> nn.Module:
    """Images (N, channels, 32, 32) -> logits (N,); `ndf` is its width."""
    if config.network == "dcgan":
        return DCGANDiscriminator(config.ndf, channels)
    return ResidualDiscriminator(config.ndf, channels, diff_augment=config.diff_augment)

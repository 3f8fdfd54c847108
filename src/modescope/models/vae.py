"""Study 1's VAE: pythae's model with its ResNet encoder and decoder for CIFAR."""

from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.cifar import Decoder_ResNet_AE_CIFAR, Encoder_ResNet_VAE_CIFAR


def build_vae(latent_dim: int) -> VAE:
    """A VAE for images (N, 3, 32, 32) in [0, 1]. Its loss is half the squared error plus KL, a mean over the batch.

    `model({"data": images})` returns loss, recon_loss, reg_loss, recon_x and z (Kingma and Welling 2014).
    """
    config = VAEConfig(input_dim=(3, 32, 32), latent_dim=latent_dim)
    return VAE(config, encoder=Encoder_ResNet_VAE_CIFAR(config), decoder=Decoder_ResNet_AE_CIFAR(config))

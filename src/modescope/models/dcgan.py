"""Study 2's DCGAN for 32x32 images (Radford et al. 2016, in report 1's sizes).

Shapes: N images, C channels, D latent dimensions.
"""

from torch import Tensor, nn

from modescope.models.layers import check_shape


class DCGANGenerator(nn.Module):
    """Linear to 4x4 maps, three strided transposed convolutions with BatchNorm and ReLU, a 1x1 one and tanh.

    Args:
        latent_dim: D.
        ngf: channels of the last hidden maps; the first have eight times as many.
        channels: C.
    """

    def __init__(self, latent_dim: int, ngf: int, channels: int = 3):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 8 * ngf * 4 * 4),
            nn.Unflatten(1, (8 * ngf, 4, 4)),
            *_doubling_block(8 * ngf, 4 * ngf),
            *_doubling_block(4 * ngf, 2 * ngf),
            *_doubling_block(2 * ngf, ngf),
            nn.ConvTranspose2d(ngf, channels, 1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """z: (N, D) float -> images (N, C, 32, 32) in [-1, 1]. Raises ValueError for another shape of z."""
        check_shape(z, "z", self.latent_dim)
        return self.layers(z)


def _doubling_block(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]


class DCGANDiscriminator(nn.Module):
    """Four 4x4 convolutions of stride 2, BatchNorm from the second, leaky ReLU 0.2, and a 2x2 convolution to one logit.

    Args:
        ndf: channels of the first maps; the last have eight times as many.
        channels: C.
    """

    def __init__(self, ndf: int, channels: int = 3):
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, ndf, 4, stride=2, padding=1),  # (N, ndf, 16, 16)
            nn.LeakyReLU(0.2, inplace=True),
            *_halving_block(ndf, 2 * ndf),
            *_halving_block(2 * ndf, 4 * ndf),
            *_halving_block(4 * ndf, 8 * ndf),  # (N, 8 * ndf, 2, 2)
            nn.Conv2d(8 * ndf, 1, 2),
            nn.Flatten(0),
        )

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, C, 32, 32) float in [-1, 1] -> logits (N,), positive for real.

        Raises ValueError for another shape.
        """
        check_shape(images, "images", self.channels, 32, 32)
        return self.layers(images)


def _halving_block(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.2, inplace=True),
    ]

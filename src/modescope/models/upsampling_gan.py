"""Study 1's GAN for 32x32 images: nearest-neighbour upsampling against strided convolutions (report 1, section 3).

Shapes: N images, C channels, D latent dimensions.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from modescope.models.layers import Dropout, UpsampleConv2d, check_shape


class UpsamplingGenerator(nn.Module):
    """Linear to 8x8 maps, two rounds of [nearest x2, convolution, BatchNorm, ReLU], a last convolution and tanh.

    Args:
        latent_dim: D.
        width: channels of the first maps; the last hidden maps have half as many.
        momentum: BatchNorm's weight of the newest batch. The published 0.78 comes from a library where it means the
            opposite, so that the running statistics hardly average.
        channels: C.
    """

    def __init__(self, latent_dim: int, width: int, momentum: float, channels: int = 3):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width * 8 * 8),
            nn.ReLU(),
            nn.Unflatten(1, (width, 8, 8)),
            *_upsampling_block(width, width, momentum),
            *_upsampling_block(width, width // 2, momentum),
            nn.Conv2d(width // 2, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """z: (N, D) float -> images (N, C, 32, 32) in [-1, 1]. Raises ValueError for another shape of z."""
        check_shape(z, "z", self.latent_dim)
        return self.layers(z)


def _upsampling_block(channels_in: int, channels_out: int, momentum: float) -> list[nn.Module]:
    return [
        UpsampleConv2d(channels_in, channels_out),
        nn.BatchNorm2d(channels_out, momentum=momentum),
        nn.ReLU(),
    ]


class UpsamplingDiscriminator(nn.Module):
    """Four 3x3 convolutions (three with stride 2, one padded to 9x9 before its BatchNorm) and a linear logit.

    Args:
        width: channels of the third convolution; the four have width/4, width/2, width, 2*width.
        dropout: probability after every activation.
        momenta: BatchNorm momenta of the second, third and fourth convolution (see `UpsamplingGenerator`).
        channels: C.
    """

    def __init__(self, width: int, dropout: float, momenta: Sequence[float], channels: int = 3):
        super().__init__()
        self.channels = channels
        first, second, third, fourth = width // 4, width // 2, width, 2 * width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, first, 3, stride=2, padding=1),  # (N, width/4, 16, 16)
            nn.LeakyReLU(0.2, inplace=True),
            Dropout(dropout),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ZeroPad2d((0, 1, 0, 1)),  # (N, width/2, 9, 9)
            nn.BatchNorm2d(second, momentum=momenta[0]),
            nn.LeakyReLU(0.25, inplace=True),
            Dropout(dropout),
            nn.Conv2d(second, third, 3, stride=2, padding=1),  # (N, width, 5, 5)
            nn.BatchNorm2d(third, momentum=momenta[1]),
            nn.LeakyReLU(0.2, inplace=True),
            Dropout(dropout),
            nn.Conv2d(third, fourth, 3, padding=1),  # (N, 2*width, 5, 5)
            nn.BatchNorm2d(fourth, momentum=momenta[2]),
            nn.LeakyReLU(0.25, inplace=True),
            Dropout(dropout),
            nn.Flatten(),
            nn.Linear(fourth * 5 * 5, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, C, 32, 32) float in [-1, 1] -> logits (N,), positive for real.

        Raises ValueError for another shape.
        """
        check_shape(images, "images", self.channels, 32, 32)
        return self.layers(images).squeeze(1)


def build_generator(settings, channels: int) -> UpsamplingGenerator:
    """The generator of a `config.Gan` section."""
    return UpsamplingGenerator(settings.latent_dim, settings.width, settings.generator_momentum, channels)


def build_discriminator(settings, channels: int) -> UpsamplingDiscriminator:
    """The discriminator of a `config.Gan` section."""
    return UpsamplingDiscriminator(settings.width, settings.dropout, settings.discriminator_momenta, channels)

"""Our networks for 32x32 images: narrow residual ones under spectral normalisation (Miyato et al. 2018, table 4).

Labels, where there are any, reach the generator through BatchNorm's gains and shifts and the discriminator through a
projection (Miyato and Koyama 2018). Shapes: N images, C channels, D latent dimensions, K classes, W the width.
"""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modescope.models.diff_augment import DiffAugment
from modescope.models.layers import DownsampleConv2d, UpsampleConv2d, check_labels, check_shape, spectral_norm

PIXELS = 32
conv3x3 = partial(nn.Conv2d, kernel_size=3, padding=1)


class ConditionalBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose gain and shift are the label's (Dumoulin et al. 2017); plain BatchNorm without classes.

    Args:
        channels: of the maps.
        num_classes: K, or None.
    """

    def __init__(self, channels: int, num_classes: int | None):
        super().__init__(channels, affine=num_classes is None)
        self.gain = self.shift = None
        if num_classes is not None:
            self.gain, self.shift = nn.Embedding(num_classes, channels), nn.Embedding(num_classes, channels)
            nn.init.ones_(self.gain.weight)
            nn.init.zeros_(self.shift.weight)

    def forward(self, maps: Tensor, labels: Tensor | None = None) -> Tensor:
        """maps: (N, W, H, H); labels: (N,) int64 where there are classes."""
        normalised = super().forward(maps)
        if self.gain is None:
            return normalised
        gain, shift = (table(labels)[:, :, None, None].to(normalised.dtype) for table in (self.gain, self.shift))
        return torch.addcmul(shift, normalised, gain)


class UpBlock(nn.Module):
    """[norm, ReLU, nearest x2, convolution, norm, ReLU, convolution] beside [1x1 convolution, nearest x2], added."""

    def __init__(self, width: int, num_classes: int | None):
        super().__init__()
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(width, num_classes) for _ in range(2))
        self.up, self.conv = UpsampleConv2d(width, width), conv3x3(width, width)
        self.shortcut = nn.Conv2d(width, width, 1)

    def forward(self, maps: Tensor, labels: Tensor | None) -> Tensor:
        """(N, W, H, H) -> (N, W, 2H, 2H)."""
        hidden = self.up(F.relu(self.norms[0](maps, labels)))
        hidden = self.conv(F.relu(self.norms[1](hidden, labels)))
        return hidden + F.interpolate(self.shortcut(maps), scale_factor=2.0, mode="nearest")


class ResidualGenerator(nn.Module):
    """Linear to 4x4 maps, three blocks that double the edge, BatchNorm, ReLU, a last convolution and tanh.

    Args:
        latent_dim: D.
        width: W, channels of all maps.
        channels: C.
        num_classes: K, or None for a generator without labels.
    """

    def __init__(self, latent_dim: int, width: int, channels: int = 3, num_classes: int | None = None):
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.first = nn.Linear(latent_dim, 4 * 4 * width)
        self.blocks = nn.ModuleList(UpBlock(width, num_classes) for _ in range(3))
        self.norm, self.last = nn.BatchNorm2d(width), conv3x3(width, channels)
        initialize(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z: (N, D) float, labels: (N,) int64 where there are classes -> images (N, C, 32, 32) in [-1, 1].

        Raises ValueError for another shape of z, or labels where there are none and none where there are.
        """
        check_shape(z, "z", self.latent_dim)
        check_labels(labels, self.num_classes)
        maps = self.first(z).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)  # (N, W, 4, 4), channels last
        for block in self.blocks:
            maps = block(maps, labels)
        return torch.tanh(self.last(F.relu(self.norm(maps))))


class DownBlock(nn.Module):
    """[ReLU, convolution, ReLU, convolution] beside the maps themselves, added; pooled 2x2 at the end where `down`.

    Args:
        channels_in, channels_out: of the maps.
        down: whether both ways halve the edge; the shortcut then has a 1x1 convolution, too.
        is_first: the maps are images, which no ReLU may cut.
    """

    def __init__(self, channels_in: int, channels_out: int, down: bool, is_first: bool = False):
        super().__init__()
        self.down, self.is_first = down, is_first
        self.conv = conv3x3(channels_in, channels_out)
        self.last = DownsampleConv2d(channels_out, channels_out) if down else conv3x3(channels_out, channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1) if down else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels_in, H, H) -> (N, channels_out, H, H), or half the edge where `down`."""
        hidden = self.last(F.relu(self.conv(maps if self.is_first else F.relu(maps))))
        return hidden + self.shortcut(F.avg_pool2d(maps, 2) if self.down else maps)


class ResidualDiscriminator(nn.Module):
    """Four blocks, the first two halving the edge, ReLU, a sum over the 8x8 pixels and a linear logit; all normalised.

    Args:
        width: W, channels of all maps.
        channels: C.
        num_classes: K, or None. A label's embedding times the hidden sum is added to the logit.
        diff_augment: whether images are augmented first (`DiffAugment`).
    """

    def __init__(self, width: int, channels: int = 3, num_classes: int | None = None, diff_augment: bool = False):
        super().__init__()
        self.channels, self.num_classes = channels, num_classes
        self.augment = DiffAugment() if diff_augment else nn.Identity()
        self.blocks = nn.Sequential(
            DownBlock(channels, width, down=True, is_first=True),
            DownBlock(width, width, down=True),
            DownBlock(width, width, down=False),
            DownBlock(width, width, down=False),
        )
        self.logit = nn.Linear(width, 1)
        self.projection = None if num_classes is None else nn.Embedding(num_classes, width)
        initialize(self)
        for layer in [*self.modules()]:
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(layer)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """images: (N, C, 32, 32) float in [-1, 1], labels: (N,) int64 where there are classes -> logits (N,) float32.

        Raises ValueError for other shapes, or labels where there are none and none where there are.
        """
        check_shape(images, "images", self.channels, PIXELS, PIXELS)
        check_labels(labels, self.num_classes)
        hidden = F.relu(self.blocks(self.augment(images))).sum((2, 3), dtype=torch.float32)  # (N, W)
        with torch.autocast(images.device.type, enabled=False):
            logits = self.logit(hidden).squeeze(1)
            return logits if self.projection is None else logits + (self.projection(labels) * hidden).sum(1)


def initialize(module: nn.Module) -> None:
    """Glorot's uniform weights, times sqrt(2) where a kernel is 3x3, and biases of 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = math.sqrt(2) if layer.weight.shape[2:] == (3, 3) else 1.0
            nn.init.xavier_uniform_(layer.weight, gain)
            nn.init.zeros_(layer.bias)


def build_generator(settings, channels: int, num_classes: int | None) -> ResidualGenerator:
    """The generator of a `config.ResidualGan` section."""
    return ResidualGenerator(settings.latent_dim, settings.generator_width, channels, num_classes)


def build_discriminator(settings, channels: int, num_classes: int | None) -> ResidualDiscriminator:
    """The discriminator of a `config.ResidualGan` section."""
    return ResidualDiscriminator(settings.discriminator_width, channels, num_classes, settings.diff_augment)

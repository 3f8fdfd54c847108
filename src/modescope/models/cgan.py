"""Study 3's networks for 28x28 images, with labels or without (report 2, section 5).

Shapes: N images, C channels, D latent dimensions, K classes.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from modescope.models.layers import Dropout, check_labels, check_shape, spectral_norm

PIXELS = 28
STD = 0.02  # of the initial weights

Initialization = Literal["code", "text"]


class CganGenerator(nn.Module):
    """Linear to 7x7 maps, two rounds of [convolution, PixelShuffle x2, BatchNorm, ReLU], a last convolution and tanh.

    Args:
        latent_dim: D.
        width: channels of the 7x7 and the 14x14 maps; the 28x28 maps have half as many.
        momentum: BatchNorm's weight of the newest batch.
        channels: C.
        num_classes: K, or None for a generator without labels.
        labels: how a label reaches z: `multiply` by an embedding of D numbers (the report), or `concat`, beside one of
            the size of z.
    """

    def __init__(
        self,
        latent_dim: int,
        width: int,
        momentum: float,
        channels: int = 1,
        num_classes: int | None = None,
        labels: Literal["multiply", "concat"] = "multiply",
        initialization: Initialization = "code",
    ):
        super().__init__()
        self.latent_dim, self.num_classes, self.labels = latent_dim, num_classes, labels
        is_wider = num_classes is not None and labels == "concat"
        self.layers = nn.Sequential(
            nn.Linear(latent_dim * (2 if is_wider else 1), width * 7 * 7),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (width, 7, 7)),
            *_shuffling_block(width, width, momentum),
            *_shuffling_block(width, width // 2, momentum),
            nn.Conv2d(width // 2, channels, 3, padding=1),
            nn.Tanh(),
        )
        initialize(self.layers)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.out_channels != channels:
                icnr_(layer.weight, scale=2)
        if num_classes is not None:
            self.embedding = nn.Embedding(num_classes, latent_dim)
            nn.init.normal_(self.embedding.weight, std=1.0 if initialization == "code" else STD)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z: (N, D) float, labels: (N,) int64 where there are classes -> images (N, C, 28, 28) in [-1, 1].

        Raises ValueError for another shape of z, or labels where there are none and none where there are.
        """
        check_shape(z, "z", self.latent_dim)
        check_labels(labels, self.num_classes)
        if labels is not None:
            code = self.embedding(labels)
            z = z * code if self.labels == "multiply" else torch.cat([z, code], 1)
        return self.layers(z)


def _shuffling_block(channels_in: int, channels_out: int, momentum: float) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, 4 * channels_out, 3, padding=1),
        nn.PixelShuffle(2),
        nn.BatchNorm2d(channels_out, momentum=momentum),
        nn.ReLU(inplace=True),
    ]


class LabelledDiscriminator(nn.Module):
    """What study 3's discriminators share: how they see a label, and the logit of what their `layers` give.

    Args:
        hidden: units of the last hidden layer.
        channels: C.
        num_classes: K, or None for a discriminator without labels.
        labels: how it sees a label: as a `map`, one more channel of the image (the report), or by `projection`, an
            inner product of an embedding and the hidden layer, added to the logit (Miyato and Koyama 2018, equation 4).
    """

    def __init__(self, hidden: int, channels: int, num_classes: int | None, labels: Literal["map", "projection"]):
        super().__init__()
        self.channels, self.num_classes = channels, num_classes
        self.label_map = self.projection = None
        if num_classes is not None:
            embedding = nn.Embedding(num_classes, PIXELS**2 if labels == "map" else hidden)
            nn.init.normal_(embedding.weight, std=STD)
            setattr(self, "label_map" if labels == "map" else "projection", embedding)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """images: (N, C, 28, 28) float in [-1, 1], labels: (N,) int64 where there are classes -> logits (N,).

        Raises ValueError for other shapes, or labels where there are none and none where there are.
        """
        check_shape(images, "images", self.channels, PIXELS, PIXELS)
        check_labels(labels, self.num_classes)
        if self.label_map is not None:
            images = torch.cat([images, self.label_map(labels).view(-1, 1, PIXELS, PIXELS).to(images.dtype)], 1)
        hidden = self.layers(images)
        logits = self.logit(hidden).squeeze(1)
        return logits if self.projection is None else logits + (self.projection(labels) * hidden).sum(1)


class SpectralDiscriminator(LabelledDiscriminator):
    """Two strided convolutions and two linear layers under spectral normalisation, with dropout (Miyato et al. 2018).

    Args:
        width: channels of the first convolution; the second has twice as many, the hidden layer 16 times.
        dropout: probability after every activation.
        channels, num_classes, labels: as of `LabelledDiscriminator`.
        initialization: the normalised layers start at torch's default as in report 2's `code`, whose initialiser skips
            them, or at N(0, 0.02) as in its `text`.
    """

    def __init__(
        self,
        width: int,
        dropout: float,
        channels: int = 1,
        num_classes: int | None = None,
        labels: Literal["map", "projection"] = "map",
        initialization: Initialization = "code",
    ):
        super().__init__(16 * width, channels, num_classes, labels)
        self.layers = nn.Sequential(
            nn.Conv2d(channels + (self.label_map is not None), width, 3, stride=2, padding=1),  # (N, width, 14, 14)
            nn.LeakyReLU(0.2, inplace=True),
            Dropout(dropout),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),  # (N, 2 * width, 7, 7)
            nn.LeakyReLU(0.2, inplace=True),
            Dropout(dropout),
            nn.Flatten(),
            nn.Linear(2 * width * 7 * 7, 16 * width),
            nn.ReLU(inplace=True),
            Dropout(dropout),
        )
        self.logit = nn.Linear(16 * width, 1)
        if initialization == "text":
            initialize(self.layers)
            initialize(self.logit)
        for layer in (*self.layers, self.logit):  # after that: the power iteration starts from the weights of step 0
            if isinstance(layer, nn.Conv2d | nn.Linear):
                spectral_norm(layer)
        if self.projection is not None:
            self.projection = spectral_norm(self.projection)


class Critic(LabelledDiscriminator):
    """The same with layer normalisation, for a gradient penalty, and without dropout (Gulrajani et al. 2017).

    Its logit is the critic's unbounded score.

    Args:
        width: channels of the first convolution; the second has twice as many, the hidden layer 8 times.
        channels, num_classes, labels: as of `LabelledDiscriminator`.
    """

    def __init__(
        self,
        width: int,
        channels: int = 1,
        num_classes: int | None = None,
        labels: Literal["map", "projection"] = "map",
    ):
        super().__init__(8 * width, channels, num_classes, labels)
        self.layers = nn.Sequential(
            nn.Conv2d(channels + (self.label_map is not None), width, 3, stride=2, padding=1),
            nn.LayerNorm([width, 14, 14]),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LayerNorm([2 * width, 7, 7]),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * 7 * 7, 8 * width),
            nn.LayerNorm(8 * width),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.logit = nn.Linear(8 * width, 1)
        initialize(self)


def initialize(module: nn.Module) -> None:
    """Weights ~ N(0, 0.02), BatchNorm's ~ N(1, 0.02), biases 0 (Radford et al. 2016, section 4); LayerNorm stays."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.normal_(layer.weight, std=STD)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, mean=1.0, std=STD)
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def icnr_(weight: Tensor, scale: int) -> None:
    """Make the `scale`**2 kernels that PixelShuffle puts side by side equal: no checkerboard (Aitken et al. 2017)."""
    weight.copy_(weight[:: scale**2].repeat_interleave(scale**2, 0))


def build_cgan_generator(settings, channels: int, num_classes: int | None) -> CganGenerator:
    """The generator of a `config.CganConfig`; with labels where `num_classes` is not None."""
    return CganGenerator(
        settings.latent_dim,
        settings.generator_width,
        settings.generator_momentum,
        channels,
        num_classes,
        settings.generator_labels,
        settings.initialization,
    )


def build_cgan_discriminator(settings, channels: int, num_classes: int | None) -> SpectralDiscriminator | Critic:
    """The network that `settings.discriminator` of a `config.CganConfig` names."""
    if settings.discriminator == "critic":
        return Critic(settings.critic_width, channels, num_classes, settings.discriminator_labels)
    return SpectralDiscriminator(
        settings.discriminator_width,
        settings.dropout,
        channels,
        num_classes,
        settings.discriminator_labels,
        settings.initialization,
    )

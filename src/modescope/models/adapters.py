"""Stage 2's layers around a frozen generator (report 1, section 9): on its input, and in two forms on its output.

Shapes: N images, C channels, H x H pixels, D latent dimensions.
"""

import torch
from torch import Tensor, nn

from modescope.config import GANConfig

CLAMP = 0.99  # tanh must give back an image of tanh: its inverse is taken inside this range
IMAGES_OF_CONV = 64  # that the convolutional layer's start is fitted to: maps of 256 x 256 pixels are large
RIDGE_OF_CONV = 1e-4
MOMENTUM = 0.1  # BatchNorm's default
SPREAD = 3.0  # standard deviations of a hidden unit that stay on ReLU's linear side at the start as the identity


class InputLayer(nn.Linear):
    """z' = W z + b (report 1, equation 26), at first the identity."""

    def __init__(self, latent_dim: int):
        super().__init__(latent_dim, latent_dim)

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """W = I, b = 0."""
        self.weight.copy_(torch.eye(self.in_features))
        self.bias.zero_()


class FeedForwardOutput(nn.Sequential):
    """Flatten, linear to `hidden` units, ReLU, linear back, reshape, tanh (report 1, equation 28)."""

    def __init__(self, hidden: int, channels: int, pixels: int):
        flat = channels * pixels**2
        super().__init__(
            nn.Flatten(),
            nn.Linear(flat, hidden),
            nn.ReLU(),
            nn.Linear(hidden, flat),
            nn.Unflatten(1, (channels, pixels, pixels)),
            nn.Tanh(),
        )

    @torch.no_grad()
    def start_as_identity(self, images: Tensor) -> None:
        """As nearly as `hidden` units can: the principal components of images (N, C, H, H).

        The last layer is the least-squares map from the hidden units to the images before tanh.
        """
        flat = images.flatten(1)
        _, singular_values, components = torch.pca_lowrank(flat, q=min(self[1].out_features, *flat.shape))
        hidden = len(singular_values)
        self[1].weight[:hidden] = components.T
        # A component's standard deviation over N centred images is its singular value over sqrt(N). The bias takes the
        # mean away and adds SPREAD deviations, so that nearly all images are on ReLU's linear side.
        mean = flat.mean(0) @ components
        self[1].bias[:hidden] = SPREAD * singular_values / len(flat) ** 0.5 - mean
        _fit_last_layer(self[3], self[2](self[1](flat)), before_tanh(flat))


class ConvOutput(nn.Sequential):
    """Up from 32 to 128 and 256 pixels and back, BatchNorm and ReLU between, tanh last (report 1, section 9.3).

    Args:
        hidden: channels of the first two layers; the third has half as many.
    """

    def __init__(self, hidden: int, channels: int):
        super().__init__(
            nn.ConvTranspose2d(channels, hidden, 4, stride=4),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(hidden, hidden, 4, stride=2, padding=1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden // 2, 4, stride=2, padding=1),
            nn.BatchNorm2d(hidden // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden // 2, channels, 4, stride=4),
            nn.Tanh(),
        )

    @torch.no_grad()
    def start_as_identity(self, images: Tensor) -> None:
        """As nearly as the last layer can: the least-squares map from random features of images (N, C, H, H).

        BatchNorm starts on ReLU's linear side, with the statistics of the first images.
        """
        images = images[:IMAGES_OF_CONV]
        norms = [layer for layer in self if isinstance(layer, nn.BatchNorm2d)]
        for norm in norms:
            norm.bias.fill_(SPREAD)
            norm.momentum = 1.0
        maps = images
        for layer in list(self.train())[:-2]:
            maps = layer(maps)
        for norm in norms:
            norm.momentum = MOMENTUM
        patches = nn.functional.unfold(maps, 4, stride=4).transpose(1, 2).flatten(0, 1)  # (N H H, hidden / 2 * 16)
        targets = before_tanh(images).flatten(2).transpose(1, 2).flatten(0, 1)  # (N H H, C)
        _fit_last_layer(self[9], patches, targets, RIDGE_OF_CONV)


def before_tanh(images: Tensor) -> Tensor:
    """The inverse of tanh, of values clamped to [-0.99, 0.99]."""
    return images.clamp(-CLAMP, CLAMP).atanh()


def _fit_last_layer(layer: nn.Linear | nn.Conv2d, inputs: Tensor, targets: Tensor, ridge: float = 1e-6) -> None:
    """Give `layer` the least-squares solution of inputs (M, I) -> targets (M, O).

    Args:
        ridge: in mean squares of the inputs. It keeps weights small, whose large differences bfloat16 would not
            resolve.
    """
    with_one = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], 1).double()
    gram = with_one.T @ with_one
    penalty = ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    penalty[-1, -1] *= 1e-6 / ridge
    solution = torch.linalg.solve(gram + penalty, with_one.T @ targets.double()).float()
    layer.weight.copy_(solution[:-1].T.reshape(layer.weight.shape))
    layer.bias.copy_(solution[-1])


class AdaptedGenerator(nn.Module):
    """x' = after(generator(before(z))) with a frozen generator (report 1, equation 29).

    The generator stays in eval mode whatever the mode of the whole: neither weights nor BatchNorm statistics move.
    """

    def __init__(self, generator: nn.Module, before: nn.Module | None, after: nn.Module | None):
        super().__init__()
        self.latent_dim, self.before = generator.latent_dim, before or nn.Identity()
        self.generator = generator.eval().requires_grad_(False)
        self.after = after or nn.Identity()

    @torch.no_grad()
    def start_as_identity(self, z: Tensor) -> None:
        """Make the whole give nearly the generator's own images of z (N, D)."""
        if isinstance(self.before, InputLayer):
            self.before.start_as_identity()
        if not isinstance(self.after, nn.Identity):
            self.after.start_as_identity(self.generator(z))

    def train(self, mode: bool = True) -> "AdaptedGenerator":
        super().train(mode)
        self.generator.eval()
        return self

    def forward(self, z: Tensor) -> Tensor:
        """z: (N, D) float -> images (N, C, H, H) in [-1, 1]."""
        return self.after(self.generator(self.before(z)))


def adapt(generator: nn.Module, config: GANConfig, channels: int, pixels: int) -> nn.Module:
    """Layers that `config` asks for around a frozen generator, or `generator` itself (architecture A)."""
    if not config.has_adapters:
        return generator
    before = InputLayer(config.latent_dim) if config.add_stage2_input else None
    after = FeedForwardOutput(config.sft_ff_dim, channels, pixels) if config.add_stage2_ff else None
    return AdaptedGenerator(
        generator, before, ConvOutput(config.sft_conv_hidden, channels) if config.add_stage2_conv else after
    )

"""airbench96 (Jordan 2024, https://github.com/KellerJordan/cifar10-airbench) of the package's own modules."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modescope.vision import torchvision  # noqa: F401  (airbench imports torchvision: ours goes first)

_benchmark = torch.backends.cudnn.benchmark
from airbench.lib_airbench96 import Conv, ConvGroup, Flatten, Mul, hyp, make_net96, train96  # noqa: E402, F401
from airbench.utils import CIFAR_MEAN, CIFAR_STD, CifarLoader, LookaheadState, init_whitening_conv  # noqa: E402, F401

torch.backends.cudnn.benchmark = _benchmark  # importing airbench switches it on for the process: runs would not repeat

WHITENING_KERNEL = 2
WHITENING_IMAGES = 5000


def airbench96_layers(widths: Sequence[int], num_classes: int, in_channels: int) -> nn.Sequential:
    """The layers of the package's `make_net96` in float32: (N, C, 32, 32) normalised images -> (N, num_classes) logits.

    Args:
        widths: channels of the three convolution groups (the package: 128, 512, 512).
    """
    if len(widths) != 3:
        raise ValueError(f"airbench96 has three groups: expected 3 widths, got {list(widths)}")
    whitened = 2 * in_channels * WHITENING_KERNEL**2
    momentum = hyp["net"]["batchnorm_momentum"]
    layers = nn.Sequential(
        Conv(in_channels, whitened, WHITENING_KERNEL, padding=0, bias=True),  # (N, whitened, 31, 31)
        nn.GELU(),
        ConvGroup(whitened, widths[0], momentum),  # (N, widths[0], 15, 15)
        ConvGroup(widths[0], widths[1], momentum),  # (N, widths[1], 7, 7)
        ConvGroup(widths[1], widths[2], momentum),  # (N, widths[2], 3, 3)
        nn.MaxPool2d(3),
        Flatten(),
        nn.Linear(widths[2], num_classes, bias=False),
        Mul(hyp["net"]["scaling_factor"]),
    )
    layers[0].weight.requires_grad = False
    return layers


@torch.no_grad()
def whiten(layers: nn.Sequential, normalised_images: Tensor) -> None:
    """Set the first convolution to the whitening of 2x2 patches of the first 5,000 images, (N, C, 32, 32) float32."""
    init_whitening_conv(layers[0], normalised_images[:WHITENING_IMAGES])

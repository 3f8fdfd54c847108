"""Classifiers: a guide that a generator may learn from, and judges of another architecture and seed that measure it.

Shapes: N images, C channels, K classes, F features.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from modescope.errors import UserError
from modescope.files import read_json
from modescope.models.airbench import CIFAR_MEAN, CIFAR_STD, airbench96_layers
from modescope.models.layers import check_shape
from modescope.models.weights import fitting, load_weights
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE

Role = Literal["guide", "judge"]

MNIST_MEAN, MNIST_STD = torch.tensor((0.1307,)), torch.tensor((0.3081,))
NORMALISATION = {3: (CIFAR_MEAN, CIFAR_STD), 1: (MNIST_MEAN, MNIST_STD)}  # by C: mean and std of images in [0, 1]


class Classifier(nn.Module):
    """Normalisation, layers, and a temperature that calibrates the logits.

    Args:
        layers: normalised images -> logits (N, K); the last `head_length` of them turn features (N, F) into logits.
        image_shape: (C, H, W) of the images it takes.
        role: what it may be used for.
    """

    def __init__(self, layers: nn.Sequential, head_length: int, image_shape: tuple[int, int, int], role: Role):
        super().__init__()
        self.layers, self.head_length, self.image_shape, self.role = layers, head_length, image_shape, role
        mean, std = NORMALISATION[image_shape[0]]
        self.register_buffer("mean", mean.view(1, -1, 1, 1).clone())
        self.register_buffer("std", std.view(1, -1, 1, 1).clone())
        self.register_buffer("temperature", torch.ones(()))

    @property
    def head(self) -> nn.Sequential:
        """Features -> logits before calibration."""
        return self.layers[-self.head_length :]

    def normalise(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float in [0, 1] -> zero mean, unit variance, channels last in memory."""
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images: (N, C, H, W) float in [0, 1] -> features (N, F) and calibrated logits (N, K).

        Raises ValueError for another shape.
        """
        check_shape(images, "images", *self.image_shape)
        features = self.layers[: -self.head_length](self.normalise(images))
        return features.float(), self.head(features).float() / self.temperature

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, C, H, W) float in [0, 1] -> calibrated logits (N, K)."""
        return self.features(images)[1]


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + BN(conv(relu(BN(conv(x)))))), 3x3 convolutions (He et al. 2016); the shortcut's is 1x1."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels_out, H, W)."""
        return self.activation(self.branch(maps) + self.shortcut(maps))


def resnet_layers(widths: Sequence[int], num_classes: int, in_channels: int) -> nn.Sequential:
    """A small residual network: a 3x3 stem, a block per width, max-pooling before each, global mean. F = widths[-1]."""
    stem = [
        nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    blocks: list[nn.Module] = [ResidualBlock(widths[0], widths[0])]  # (N, widths[0], 16, 16)
    for narrow, wide in zip(widths, widths[1:], strict=False):
        blocks += [nn.MaxPool2d(2), ResidualBlock(narrow, wide)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], num_classes))


def digit_cnn_layers(widths: Sequence[int], num_classes: int, in_channels: int) -> nn.Sequential:
    """Report 2's digit classifier: three 3x3 convolutions with max-pooling, and a hidden layer of widths[3] units.

    Pooling comes before BatchNorm and ReLU: a quarter of their work.
    """
    if len(widths) != 4:
        raise ValueError(f"digit-cnn has three convolutions and a hidden layer: expected 4 widths, got {list(widths)}")
    *convolved, hidden = widths
    layers: list[nn.Module] = []
    for narrow, wide in zip([in_channels, *convolved], convolved, strict=False):
        layers += [
            nn.Conv2d(narrow, wide, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
    flat = convolved[-1] * 3 * 3  # 28 -> 14 -> 7 -> 3
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(flat, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(0.1),
        nn.Linear(hidden, num_classes),
    )


class Network(NamedTuple):
    """How a network is built: its layers, how many of the last ones are the head, the size of its images in pixels."""

    layers: Callable[[Sequence[int], int, int], nn.Sequential]
    head_length: int
    image_pixels: int


NETWORKS = {
    "airbench96": Network(airbench96_layers, head_length=2, image_pixels=32),
    "resnet": Network(resnet_layers, head_length=1, image_pixels=32),
    "digit-cnn": Network(digit_cnn_layers, head_length=2, image_pixels=28),
}


def build_classifier(network: str, widths: Sequence[int], num_classes: int, in_channels: int, role: Role) -> Classifier:
    """An untrained classifier, channels last in memory. Raises ValueError for widths that do not fit the network."""
    build, head_length, pixels = NETWORKS[network]
    layers = build(widths, num_classes, in_channels)
    return Classifier(layers, head_length, (in_channels, pixels, pixels), role).to(memory_format=torch.channels_last)


def load_classifier(folder: Path, device: torch.device | str = "cpu") -> Classifier:
    """The trained classifier of a run's folder (model.safetensors and run.json), frozen and in eval mode.

    Raises UserError if files are missing or do not belong together.
    """
    info, tensors = read_json(folder / RUN_FILE, run=str, params=dict, data=dict), load_weights(folder / WEIGHTS_FILE)
    with fitting(folder):
        settings = info["params"]["classifiers"][info["run"]]
        num_classes, in_channels = len(info["data"]["classes"]), tensors["mean"].shape[1]
        built = (settings["network"], settings["widths"], num_classes, in_channels, settings["role"])
        classifier = build_classifier(*built)
        classifier.load_state_dict(tensors)
    return classifier.to(device).eval().requires_grad_(False)


def load_judge(folder: Path, device: torch.device | str = "cpu") -> Classifier:
    """`load_classifier`, for measuring. Raises UserError for a guide: whoever taught a generator cannot judge it."""
    classifier = load_classifier(folder, device)
    if classifier.role != "judge":
        raise UserError(f"{folder} is a {classifier.role}, which generators learn from: name a judge to measure them")
    return classifier

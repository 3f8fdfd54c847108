"""Study 2's stage 2 as a tutorial writes it: layers around the frozen plain DCGAN, and the guide's cross-entropy."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.plain_dcgan import PlainDcgan


def feed_forward_layer(hidden: int = 128) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3072, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 3072),
        nn.Unflatten(1, (3, 32, 32)),
        nn.Tanh(),
    )


def convolutional_layer(hidden: int) -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(3, hidden, 4, 4),
        nn.BatchNorm2d(hidden),
        nn.ReLU(True),
        nn.ConvTranspose2d(hidden, hidden, 4, 2, 1),
        nn.BatchNorm2d(hidden),
        nn.ReLU(True),
        nn.Conv2d(hidden, hidden // 2, 4, 2, 1),
        nn.BatchNorm2d(hidden // 2),
        nn.ReLU(True),
        nn.Conv2d(hidden // 2, 3, 4, 4),
        nn.Tanh(),
    )


def adapted(generator: nn.Module, kind: str, conv_hidden: int) -> nn.Module:
    """`kind` is the report's architecture: a, b, c or d."""
    if kind == "a":
        return generator
    generator.requires_grad_(False).eval()
    before = [nn.Linear(100, 100)] if kind == "d" else []
    return nn.Sequential(*before, generator, convolutional_layer(conv_hidden) if kind == "c" else feed_forward_layer())


class PlainStage2(PlainDcgan):
    """`run(n)` trains n steps of both players; `guide` gives logits of images in [0, 1]."""

    def __init__(
        self,
        pictures: list,
        device: torch.device,
        kind: str,
        guide: nn.Module,
        conv_hidden: int = 256,
        batch_size: int = 128,
    ):
        super().__init__(pictures, device, batch_size)
        self.guide = guide
        self.generator = adapted(self.generator, kind, conv_hidden).to(device)
        trained = [parameter for parameter in self.generator.parameters() if parameter.requires_grad]
        self.generator_optimizer = torch.optim.Adam(trained, lr=2e-4, betas=(0.5, 0.999))

    def generator_loss(self, images, labels):
        return super().generator_loss(images, labels) + 0.5 * F.cross_entropy(self.guide((images + 1) / 2), labels)

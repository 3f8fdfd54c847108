"""Differentiable augmentation: what the discriminator sees of real and of generated images alike (Zhao et al. 2020)."""

import torch
from torch import Tensor, nn

SHIFT = 1 / 8  # of the edge, at most, each way
CUT_OUT = 1 / 2  # of the edge


class DiffAugment(nn.Module):
    """Translation and cutout, the published policy for CIFAR-10; each image is changed by random numbers of its own.

    In eval mode images stay as they are. Random numbers come from the device's generator.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float in [-1, 1] -> the same shape; what comes in from outside, and what is cut out, is 0."""
        return cut_out(translate(images)) if self.training else images


def translate(images: Tensor) -> Tensor:
    """Move each image of (N, C, H, W) by up to an eighth of its edge each way; zeros come in.

    Two products with shifted identities: no indexing, whose gradient would be a scatter.
    """
    rows, columns = (_shifts(len(images), edge, images.device).to(images.dtype) for edge in images.shape[2:])
    return rows @ images @ columns.mT


def _shifts(count: int, edge: int, device: torch.device) -> Tensor:
    """(N, 1, E, E) bool: row i of a matrix reads place i + its shift, or nothing outside the image."""
    most = round(edge * SHIFT)
    shift = torch.randint(-most, most + 1, (count, 1, 1, 1), device=device)
    places = torch.arange(edge, device=device)
    return places[:, None] + shift == places


def cut_out(images: Tensor) -> Tensor:
    """Blacken a square of half the edge in each image of (N, C, H, W), its centre anywhere in the image."""
    rows, columns = (_band(len(images), edge, images.device) for edge in images.shape[2:])
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


def _band(count: int, edge: int, device: torch.device) -> Tensor:
    """(N, E) bool: which rows (or columns) of each image its square covers."""
    size = round(edge * CUT_OUT)
    offset = torch.arange(edge, device=device) - torch.randint(0, edge + 1, (count, 1), device=device) + size // 2
    return (offset >= 0) & (offset < size)

"""Stacked digits: three digits as one image's channels, 1,000 modes that can be counted.

The protocol of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and PacGAN (Lin et al. 2018, arXiv:1712.04086).
"""

import numpy as np
import torch
from torch import Tensor

from modescope.errors import UserError

CHANNELS, DIGITS = 3, 10


def stack_digits(
    images: Tensor, labels: Tensor, count: int, seed: int, num_classes: int = DIGITS
) -> tuple[Tensor, Tensor]:
    """Draw three of the images for each stacked one, independently, with replacement, every image as likely as any
    other.

    So modes are about as frequent as the digits of `labels` make them, as in the published protocol. The draw is
    PCG64's raw 64-bit output modulo N, which is the same on every machine (see `data/splits.py`); the remainder favours
    low rows by a factor of at most 1 + N / 2^64, 3e-15 for MNIST.

    Args:
        images: (N >= 1, 1, H, W) uint8.
        labels: (N,) int64 in 0 ... K - 1, on the same device.
        count: how many stacked images.
        seed: >= 0.
        num_classes: K, ten of digits.

    Returns:
        images (count, 3, H, W) uint8 and their modes (count,) int64 in 0 ... K^3 - 1, as of `digits_to_mode`.

    Raises:
        UserError: the seed is negative; the images are not grey.
        ValueError: other shapes, dtypes or labels.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or len(images) == 0:
        raise ValueError(f"expected images (N >= 1, 1, H, W) uint8, received {tuple(images.shape)} {images.dtype}")
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"expected labels ({len(images)},) int64, one per image, received {tuple(labels.shape)} {labels.dtype}"
        )
    if images.shape[1] != 1:
        raise UserError(f"images of {images.shape[1]} channels cannot be stacked: take grey digits (mnist or digits)")
    if seed < 0:
        raise UserError(f"seed {seed} is negative: seeds start at 0")
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(count * CHANNELS) % len(images)
    rows = torch.from_numpy(raw.astype(np.int64)).view(count, CHANNELS).to(images.device)
    return images[:, 0][rows], digits_to_mode(labels[rows], num_classes)


def digits_to_mode(digits: Tensor, num_classes: int = DIGITS) -> Tensor:
    """(N, 3) int64 in 0 ... K - 1 -> (N,) int64 in 0 ... K^3 - 1, the number that the digits spell to the base K.

    Raises ValueError for other digits.
    """
    if digits.ndim != 2 or digits.shape[1] != CHANNELS:
        raise ValueError(f"expected digits (N, {CHANNELS}), received {tuple(digits.shape)}")
    if len(digits) and not 0 <= digits.min() <= digits.max() < num_classes:
        raise ValueError(
            f"expected digits in 0 ... {num_classes - 1}, received {digits.min().item()} to {digits.max().item()}"
        )
    return num_classes * (num_classes * digits[:, 0] + digits[:, 1]) + digits[:, 2]

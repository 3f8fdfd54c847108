"""Training batches: uint8 images that lie on the device, indexed there. No workers, no decoding, no state."""

from functools import lru_cache, partial

import torch
from torch import Tensor

from modescope.data.order import random_order
from modescope.errors import UserError


class BatchStream:
    """An endless stream of batches, addressed by step: a resumed training needs nothing but its step number.

    Epochs are permutations of the whole dataset, one per (seed, epoch), laid end to end and cut into batches of equal
    size; so a batch may hold the end of one epoch and the start of the next.
    """

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int, seed: int, flip: bool = False) -> None:
        """Args:
            images: (N, C, H, W) uint8, on the device where the batches are wanted.
            labels: (N,) int64, on the same device.
            batch_size: 1 to N.
            seed: >= 0.
            flip: the mirror images belong to the data set, too.

        Raises:
            UserError: there are fewer images than one batch holds.
        """
        self.images = torch.cat([images, images.flip(-1)]) if flip else images
        self.labels = labels.repeat(2) if flip else labels
        if len(self.images) < batch_size:
            raise UserError(f"a batch of {batch_size} images cannot be drawn from {len(self.images)}: lower batch_size")
        self.batch_size = batch_size
        self._epoch_order = lru_cache(maxsize=2)(partial(_epoch_order, len(self.images), seed, images.device))

    @property
    def steps_per_epoch(self) -> float:
        """Batches per pass over the data, rarely a whole number."""
        return len(self.images) / self.batch_size

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Batch `number` >= 0, whatever was asked for before: images (B, C, H, W) uint8, labels (B,) int64."""
        return self.gather(self.rows(number))

    def rows(self, number: int) -> Tensor:
        """(B,) int64 rows of the images that are batch `number` >= 0, on their device."""
        epoch, start = divmod(number * self.batch_size, len(self.images))
        rows = self._epoch_order(epoch)[start : start + self.batch_size]
        missing = self.batch_size - len(rows)
        if missing:
            rows = torch.cat([rows, self._epoch_order(epoch + 1)[:missing]])
        return rows

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels of `rows`."""
        return self.images.index_select(0, rows), self.labels.index_select(0, rows)


def _epoch_order(count: int, seed: int, device: torch.device, epoch: int) -> Tensor:
    return random_order(count, seed, epoch).to(device)


def to_signed(images: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]: what GANs see."""
    return _levels(images) / 127.5 - 1


def to_unit(images: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1]: what VAEs and classifiers see."""
    return _levels(images) / 255


def to_uint8(images: Tensor, low: float) -> Tensor:
    """Float images in [low, 1], low being -1.0 or 0.0, to uint8: rounded to the nearest level, clamped.

    Raises UserError for NaN and infinity, which would become pixels like any other.
    """
    if not torch.isfinite(images).all():
        raise UserError("the model draws images that are not finite: it diverged, lower its learning rate or use fp32")
    return ((images.float() - low) * (255 / (1 - low))).round().clamp(0, 255).to(torch.uint8)


def _levels(images: Tensor) -> Tensor:
    if images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 images, got {images.dtype}")
    return images.float()

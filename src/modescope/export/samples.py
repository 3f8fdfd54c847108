"""What a sampler drew, as a file: arrays, or a sheet."""

import math
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from modescope.evaluation.samplers import Samples
from modescope.files import atomic_path
from modescope.pictures import grid

SEEN = 640  # pixels of a sheet that a person sees well


def wanted_labels(count: int, label: int | None, columns: int | None) -> Tensor | None:
    """Labels (count,) int64 for a sampler: all `label`, or one class per column; None for the run's own."""
    if label is not None:
        return torch.full((count,), label)
    return None if columns is None else torch.arange(count) % columns


def save_arrays(drawn: Samples, path: Path) -> None:
    """`images` (N, C, H, W) uint8, where the run has them `labels` (N,) int64, and `arr_0` (N, H, W, 3) uint8.

    The last are the images again, in colour, under the name by which evaluators such as guided-diffusion's read them.
    """
    images = drawn.images.cpu().numpy()
    coloured = np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images
    arrays = {"images": images, "arr_0": coloured.transpose(0, 2, 3, 1)}
    if drawn.labels is not None:
        arrays["labels"] = drawn.labels.cpu().numpy()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def save_sheet(drawn: Samples, path: Path, columns: int | None = None, scale: int | None = None) -> None:
    """All images on one sheet of so many columns, or a nearly square one; a single image without a border.

    `scale` pixels of the sheet show one of an image's; None: as many as fit into `SEEN`, at least one.
    """
    count = len(drawn.images)
    sheet = grid(
        drawn.images.cpu(), columns=columns or math.ceil(math.sqrt(count)), padding=2 if count > 1 else 0
    ).numpy()
    scale = scale or max(1, SEEN // max(sheet.shape[:2]))
    sheet = sheet.repeat(scale, axis=0).repeat(scale, axis=1)
    with atomic_path(path) as temporary:
        PIL.Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet).save(temporary, format="PNG")

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


def wanted_labels(count: int, label: int | None, columns: int | None) -> Tensor | None:
    """Labels (count,) int64 for a sampler: all `label`, or one class per column; None for the run's own."""
    if label is not None:
        return torch.full((count,), label)
    return None if columns is None else torch.arange(count) % columns


def save_arrays(drawn: Samples, path: Path) -> None:
    """`images` (N, C, H, W) uint8 and, where the run has them, `labels` (N,) int64."""
    arrays = {"images": drawn.images.cpu().numpy()}
    if drawn.labels is not None:
        arrays["labels"] = drawn.labels.cpu().numpy()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def save_sheet(drawn: Samples, path: Path, columns: int | None = None) -> None:
    """All images on one sheet of so many columns, or a nearly square one; a single image without a border."""
    count = len(drawn.images)
    sheet = grid(
        drawn.images.cpu(), columns=columns or math.ceil(math.sqrt(count)), padding=2 if count > 1 else 0
    ).numpy()
    with atomic_path(path) as temporary:
        PIL.Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet).save(temporary, format="PNG")

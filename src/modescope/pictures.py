"""Many small images as one picture, and back. All are uint8."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from modescope.errors import UserError


def mosaic(images: NDArray[np.uint8], columns: int, padding: int = 1) -> NDArray[np.uint8]:
    """Images (N, H, W[, C]) as one picture (H', W'[, C]), row by row on white, without a border."""
    count, height, width, *channels = images.shape
    rows = -(-count // columns)
    shape = (rows * (height + padding) - padding, columns * (width + padding) - padding, *channels)
    picture = np.full(shape, 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + padding), index % columns * (width + padding)
        picture[top : top + height, left : left + width] = image
    return picture


def read_picture(path: Path) -> Image.Image:
    """A PNG file of a run. Raises UserError for a file that is none."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            picture.load()
        return picture
    except Exception as error:  # Pillow names no errors of its own
        raise UserError(f"{path} is no picture ({error}): delete it; `dvc repro --force` draws it again") from None


def grid(images: Tensor, columns: int | None = None, padding: int = 2) -> Tensor:
    """Images (N, C, H, W) on any device as one picture (H', W', C) with a border.

    Args:
        columns: None for eight, or ten where N is a multiple of ten.
    """
    columns = columns or (8 if len(images) % 10 else 10)
    picture = mosaic(images.permute(0, 2, 3, 1).cpu().numpy(), columns, padding)
    border = (padding, padding)
    return torch.from_numpy(np.pad(picture, (border, border, (0, 0)), constant_values=255))


def tiles(sheet: NDArray[np.uint8], size: int, padding: int = 2) -> NDArray[np.uint8]:
    """Cut a grid (H', W'[, C]) back into its images (N, size, size[, C]), row by row."""
    rows, columns = ((side - padding) // (size + padding) for side in sheet.shape[:2])
    starts = [padding + index * (size + padding) for index in range(max(rows, columns))]
    return np.stack([sheet[top : top + size, left : left + size] for top in starts[:rows] for left in starts[:columns]])

"""Many images as one picture, and back."""

import numpy as np
import pytest
import torch

from modescope.pictures import grid, mosaic, tiles

RNG = np.random.default_rng(0)


def test_grid_lays_images_out_row_by_row():
    images = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    sheet = grid(images, columns=2, padding=1)
    assert sheet.shape == (7, 7, 1)
    assert sheet[1, 1] == 0 and sheet[1, 4] == 1 and sheet[4, 1] == 2 and sheet[4, 4] == 255 and sheet[0, 0] == 255


@pytest.mark.parametrize(("count", "columns", "rows"), [(64, 8, 8), (80, 10, 8), (24, 8, 3)])
def test_grid_is_eight_or_ten_images_wide(count, columns, rows):
    assert grid(torch.zeros(count, 3, 4, 4, dtype=torch.uint8)).shape == (6 * rows + 2, 6 * columns + 2, 3)


@pytest.mark.parametrize(("channels", "count"), [(1, 24), (3, 24), (3, 80)])
def test_tiles_undoes_the_preview_grid(channels, count):
    images = torch.from_numpy(RNG.integers(0, 256, (count, channels, 8, 8), dtype=np.uint8))
    sheet = grid(images).numpy()
    cut = tiles(sheet[..., 0] if channels == 1 else sheet, size=8)
    wanted = images.permute(0, 2, 3, 1).numpy()
    assert np.array_equal(cut, wanted[..., 0] if channels == 1 else wanted)


def test_mosaic_lays_images_row_by_row_on_white():
    images = RNG.integers(0, 200, (6, 4, 4, 3), dtype=np.uint8)
    picture = mosaic(images, columns=3, padding=2)
    assert picture.shape == (2 * 4 + 2, 3 * 4 + 2 * 2, 3)
    assert np.array_equal(picture[6:10, 6:10], images[4])
    assert (picture[4:6] == 255).all()


def test_the_last_row_of_a_mosaic_may_have_gaps():
    picture = mosaic(np.zeros((5, 4, 4), np.uint8), columns=2, padding=1)
    assert picture.shape == (3 * 4 + 2, 2 * 4 + 1) and (picture[10:, :4] == 0).all() and (picture[10:, 4:] == 255).all()

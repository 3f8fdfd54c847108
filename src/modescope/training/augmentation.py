"""Random changes of training images that leave their labels alone. All take and give (N, C, H, W) uint8."""

import torch
from torch import Tensor

GREY_LEVEL = 128


def flip_half(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror a random half of all images, once, before training: the start of `alternate_flips`."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return _flip_where(chosen, images)


def alternate_flips(images: Tensor, first_place: int, num_images: int) -> Tensor:
    """Mirror what belongs to an odd epoch, so that two epochs show an image both ways (Jordan 2024, alternating flip).

    Args:
        images: consecutive images of a stream of epochs.
        first_place: place of the first of them in the stream, from 0.
        num_images: images an epoch.
    """
    places = torch.arange(first_place, first_place + len(images), device=images.device)
    return _flip_where(places // num_images % 2 == 1, images)


def _flip_where(chosen: Tensor, images: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


def translate(images: Tensor, max_pixels: int, generator: torch.Generator) -> Tensor:
    """Move each image by whole pixels, at most `max_pixels` (< H, W) each way; the border's reflection comes in."""
    count, channels, height, width = images.shape
    shifts = torch.randint(-max_pixels, max_pixels + 1, (2, count, 1), generator=generator, device=images.device)
    rows, columns = (_reflected(shift, length) for shift, length in zip(shifts, (height, width), strict=True))
    every = torch.arange(count, device=images.device).view(-1, 1, 1, 1)
    maps = torch.arange(channels, device=images.device).view(1, -1, 1, 1)
    return images[every, maps, rows.view(count, 1, height, 1), columns.view(count, 1, 1, width)]


def _reflected(shift: Tensor, length: int) -> Tensor:
    """shift: (N, 1) -> for each image the `length` rows (or columns) to read, (N, length)."""
    last = length - 1
    return last - (last - (torch.arange(length, device=shift.device) + shift).abs()).abs()


def cut_out(images: Tensor, edge_pixels: int, generator: torch.Generator) -> Tensor:
    """Paint a grey square of `edge_pixels` (<= H, W) at a random place inside each image (DeVries & Taylor 2017)."""
    count, _, height, width = images.shape
    rows, columns = (_inside(count, length, edge_pixels, generator) for length in (height, width))
    return images.masked_fill(rows.view(count, 1, height, 1) & columns.view(count, 1, 1, width), GREY_LEVEL)


def _inside(count: int, length: int, edge_pixels: int, generator: torch.Generator) -> Tensor:
    """For each image which of `length` rows (or columns) its square covers, (N, length) bool."""
    corner = torch.randint(0, length - edge_pixels + 1, (count, 1), generator=generator, device=generator.device)
    offset = torch.arange(length, device=generator.device) - corner
    return (offset >= 0) & (offset < edge_pixels)

"""A folder of pictures as one array: lying in it, or in a folder for each class."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modescope.data.pictures import FORMATS, folders_in, has_pictures, named, on_white, pictures_in
from modescope.errors import UserError

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # that a generator's images may have
MOST = 1_000_000  # pictures in a folder


class Found(NamedTuple):
    """images: (N, C, H, W) uint8; labels: an index into the classes for each, or None; a line per skipped file."""

    images: NDArray[np.uint8]
    labels: list[int] | None
    files: list[Path]
    skipped: list[str]


def read_folder(folder: Path, shape: tuple[int, int, int], classes: Sequence[str], skip: bool) -> Found:
    """All pictures, in the order of their names. Raises UserError for others than the study's, and for broken ones."""
    listed = list_pictures(folder, classes)
    pixels, broken = {}, []
    for file, _ in listed:
        try:
            pixels[file] = read_picture(file, shape)
        except UserError:
            raise
        except Exception as error:  # Pillow names no errors of its own
            broken.append(f"{file} ({' '.join(str(error).split())[:100]})")
    if broken and not skip:
        written = "it" if len(broken) == 1 else "them"
        raise UserError(f"{named(broken)} cannot be read: write {written} anew, or --skip-broken")
    if not pixels:
        raise UserError(f"{folder} holds no picture that can be read: write them anew")
    labels = [label for file, label in listed if file in pixels]
    return Found(np.stack([*pixels.values()]), None if None in labels else labels, [*pixels], broken)


def list_pictures(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int | None]]:
    """Pictures with their labels. Raises UserError for a folder without any, or one that is no class."""
    flat, folders = has_pictures(folder), folders_in(folder)
    if flat and folders:
        raise UserError(f"{folder} holds pictures and the folder {folders[0].name}: move either out of it")
    if not flat and not folders:
        raise UserError(f"{folder} holds no pictures ({', '.join(FORMATS)}), nor a folder of them for each class")
    listed = [(file, None) for file in pictures_in(folder)] if flat else []
    for each in folders:
        listed += [(file, label_of(each, classes)) for file in pictures_in(each)]
    if len(listed) > MOST:
        raise UserError(f"{folder} holds {len(listed):,} pictures: take {MOST:,} of them at most")
    return listed


def label_of(folder: Path, classes: Sequence[str]) -> int:
    """By the class's name or number."""
    numbered = {str(number): number for number in range(len(classes))}
    labels = numbered | {name: number for number, name in enumerate(classes)}
    if folder.name not in labels:
        raise UserError(f"{folder} is named after no class: there are {', '.join(classes)}, or 0..{len(classes) - 1}")
    return labels[folder.name]


def read_picture(file: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(C, H, W) of a picture, what is transparent in it on white. Raises UserError for another size or kind."""
    channels, height, width = shape
    with Image.open(file, formats=[FORMATS[file.suffix.lower()]]) as picture:
        if picture.size != (width, height):
            found = f"{picture.size[0]} x {picture.size[1]} pixels"
            raise UserError(f"{file} has {found}, this study's images have {width} x {height}: resize them")
        if picture.mode not in MODES:
            raise UserError(f"{file} is of Pillow's mode {picture.mode}: save it as grey or RGB of 8 bits a channel")
        pixels = np.asarray(on_white(picture)).transpose(2, 0, 1)
    if channels == 3:
        return pixels
    if (pixels != pixels[:1]).any():
        raise UserError(f"{file} is in colour, this study's images are grey: convert them")
    return pixels[:1]

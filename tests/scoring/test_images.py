"""Images that somebody brings: every honest form gives the same uint8, nothing is guessed, what is wrong is said."""

import os
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modescope.errors import UserError
from modescope.scoring.images import read_images

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
CLASSES = ["zero", "one", "two"]
RNG = np.random.default_rng(0)
DIGITS, PHOTOS = (RNG.integers(0, 256, (6, *shape), dtype=np.uint8) for shape in (GREY, COLOUR))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(**arrays) -> Path:
    np.savez("a.npz", **arrays)
    return Path("a.npz")


def save_picture(path: str, pixels: np.ndarray, mode: str | None = None) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    (picture if mode is None else picture.convert(mode)).save(path)


def refused(path, match: str, **options) -> None:
    shape = options.pop("shape", GREY)
    with pytest.raises(UserError, match=re.escape(match)) as error:
        read_images(Path(path), shape, CLASSES, **options)
    assert "\n" not in str(error.value)


FORMS = {
    "channels first": (DIGITS, None),
    "channels last": (np.moveaxis(DIGITS, 1, -1), None),
    "no channel": (DIGITS[:, 0], None),
    "floats from 0 to 1": (DIGITS / 255, "unit"),
    "single floats from 0 to 1": ((DIGITS / 255).astype(np.float32), "unit"),
    "floats from -1 to 1": (DIGITS / 127.5 - 1, "signed"),
    "floats that are clearly from -1 to 1": (DIGITS / 127.5 - 1, None),
    "a rounding above 1": (np.where(DIGITS == 255, 1 + 1e-6, DIGITS / 255), "unit"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(form):
    images, values = FORMS[form]
    given = read_images(save(images=images), GREY, CLASSES, values)
    assert torch.equal(given.images, torch.from_numpy(DIGITS)) and given.labels is None
    assert torch.equal(read_images(save(whatever=images), GREY, CLASSES, values).images, given.images)


def test_colour_images_with_labels():
    path = save(labels=np.array([0, 1, 2, 2, 1, 0], np.int32), images=np.moveaxis(PHOTOS, 1, -1))
    given = read_images(path, COLOUR, CLASSES)
    assert torch.equal(given.images, torch.from_numpy(PHOTOS))
    assert given.labels.tolist() == [0, 1, 2, 2, 1, 0] and given.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": DIGITS / 255}, "floats from 0 to 1, of [0, 1] or of [-1, 1]: say which with --range unit or"),
        ({"images": DIGITS.astype(float)}, "outside [-1, 1]: bring them into [0, 1] or [-1, 1], or save uint8"),
        ({"images": np.full((4, 1, 28, 28), np.nan)}, "a.npz holds NaN or infinity"),
        ({"images": DIGITS.astype(int)}, "holds images of type int64"),
        ({"images": DIGITS > 9}, "holds images of type bool"),
        ({"images": PHOTOS}, "of shape (6, 3, 32, 32), this study's are (N, 1, 28, 28) or (N, 28, 28, 1): resize"),
        ({"images": np.uint8(3)}, "holds images of shape ()"),
        ({"images": DIGITS[:0]}, "a.npz holds no images: its array is (0, 1, 28, 28)"),
        ({"images": np.array([{}, 1], object)}, "a.npz holds a pickled object, which could run anything"),
        ({"images": DIGITS, "labels": np.array([None] * 6)}, "a.npz holds a pickled object"),
        ({"x": DIGITS, "y": DIGITS}, "a.npz has no array `images`, only x, y"),
        ({}, "a.npz has no array `images`, only nothing"),
        ({"images": DIGITS, "labels": np.arange(6)}, "a.npz holds the label 3, outside 0..2"),
        ({"images": DIGITS, "labels": np.arange(6) - 1}, "a.npz holds the label -1, outside 0..2"),
        ({"images": DIGITS, "labels": np.arange(5)}, "holds labels (5,) int64 for 6 images"),
        ({"images": DIGITS, "labels": np.zeros(6)}, "holds labels (6,) float64 for 6 images"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(arrays, message):
    refused(save(**arrays), message)


def test_ranges_that_do_not_hold_are_refused():
    refused(save(images=DIGITS / 127.5 - 1), "floats from -1 to 1, outside [0, 1]", values="unit")
    refused(save(images=DIGITS), "--range 255 is unknown: say unit", values="255")


def test_a_file_of_many_gigabytes_is_refused_by_its_header():
    header = str({"descr": "<f4", "fortran_order": False, "shape": (2_000_000, 1, 28, 28)}).ljust(117) + "\n"
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    refused("a.npz", "a.npz holds 6.3 GB in 2,000,000 images: take the first 637,755 of them")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"some text"])
def test_damaged_files_are_refused(content):
    Path("a.npz").write_bytes(content)
    refused("a.npz", "a.npz is no file that numpy.savez wrote")
    save(images=DIGITS)
    whole = bytearray(Path("a.npz").read_bytes())
    whole[300:304] = b"????"
    Path("a.npz").write_bytes(whole)
    refused("a.npz", "a.npz is no file that numpy.savez wrote")


def test_other_files_are_refused():
    Path("a.png").touch()
    for path in ("a.png", "nowhere", "nowhere.npz"):
        refused(path, f"{path} is neither a folder nor an .npz file")


def test_a_folder_of_pictures():
    for number, digit in enumerate(DIGITS):
        save_picture(f"given/ü{number}.png", digit, [None, "RGB", "RGBA", "P", "LA", "L"][number])
    Path("given/notes.txt").touch()
    given = read_images(Path("given"), GREY, CLASSES)
    assert torch.equal(given.images, torch.from_numpy(DIGITS)) and given.labels is None and len(given.files) == 6


def test_a_folder_for_each_class_by_name_or_number():
    for number, name in enumerate(["zero", "two", "1"]):
        save_picture(f"given/{name}/0.webp", np.full(COLOUR, 40 * number, np.uint8))
        save_picture(f"given/{name}/1.JPG", np.full(COLOUR, 40 * number, np.uint8))
    (Path("given") / ".cache").mkdir()
    given = read_images(Path("given"), COLOUR, CLASSES)
    assert given.labels.tolist() == [1, 1, 2, 2, 0, 0]
    assert given.images.float().mean((1, 2, 3)).round().tolist() == pytest.approx([80, 80, 40, 40, 0, 0], abs=3)


def test_what_is_transparent_lies_on_white():
    Path("given").mkdir()
    Image.new("RGBA", (28, 28), (0, 0, 0, 0)).save("given/0.png")
    assert (read_images(Path("given"), GREY, CLASSES).images == 255).all()


def test_broken_pictures_are_named_and_left_out_only_where_that_is_said():
    save_picture("given/0.png", DIGITS[0])
    save_picture("given/1.jpg", DIGITS[1])
    save_picture("given/2.jpg", DIGITS[1])
    for name in ("1", "2"):
        Path(f"given/{name}.jpg").write_bytes(Path(f"given/{name}.jpg").read_bytes()[:300])
    refused("given", "given/1.jpg (")
    refused("given", "cannot be read: write them anew, or --skip-broken")
    given = read_images(Path("given"), GREY, CLASSES, skip=True)
    assert torch.equal(given.images, torch.from_numpy(DIGITS[:1])) and len(given.skipped) == 2
    Path("given/0.png").write_bytes(b"no picture")
    refused("given", "given holds no picture that can be read", skip=True)


def make(kind: str) -> None:
    Path("given").mkdir()
    if kind == "mixed":
        save_picture("given/0.png", DIGITS[0])
        save_picture("given/one/0.png", DIGITS[0])
    elif kind == "stranger":
        save_picture("given/cat/0.png", DIGITS[0])
    elif kind == "empty class":
        save_picture("given/one/0.png", DIGITS[0])
        Path("given/two").mkdir()
    elif kind == "circle":
        os.symlink(".", "given/one")
        os.symlink("two", "given/two")
    elif kind == "size":
        save_picture("given/0.png", DIGITS[0][:, :20])
    elif kind == "colour":
        save_picture("given/0.png", PHOTOS[0][:, :28, :28])
    elif kind == "CMYK":
        Image.new("CMYK", (28, 28)).save("given/0.jpg")
    elif kind == "16 bits":
        Image.fromarray(DIGITS[0, 0].astype(np.uint16) * 256).save("given/0.png")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "given holds no pictures (.png, .jpg, .jpeg, .webp), nor a folder of them for each class"),
        ("mixed", "given holds pictures and the folder one: move either out of it"),
        ("stranger", "given/cat is named after no class: there are zero, one, two, or 0..2"),
        ("empty class", "given/two holds no pictures"),
        ("circle", "given/one holds no pictures"),
        ("size", "given/0.png has 28 x 20 pixels, this study's images have 28 x 28: resize them"),
        ("colour", "given/0.png is in colour, this study's images are grey: convert them"),
        ("CMYK", "given/0.jpg is of Pillow's mode CMYK"),
        ("16 bits", "given/0.png is of Pillow's mode I;16"),
    ],
)
def test_bad_folders_are_refused_in_one_line(kind, message):
    make(kind)
    refused("given", message, skip=True)

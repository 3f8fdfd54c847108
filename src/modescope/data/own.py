"""Somebody's own images: a folder for each class, an .npz or a parquet file; train and test apart, or together."""

import hashlib
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

from modescope.data.arrays import IMAGES, LABELS, LARGEST, read_arrays
from modescope.data.pictures import FORMATS, folders_in, has_pictures, pictures_in
from modescope.errors import UserError

WHOLE, TRAIN, TEST = "whole", "train", "test"
KINDS = (".npz", ".parquet")
MOST, LARGEST_PICTURE = 1_000_000, 200_000_000  # pictures, bytes of one
LONGEST = 64  # characters of a class's name
LAYOUT = "a folder for each class, with or without train/ and test/ above them"
TAKEN = ("all", "images", "kl", "loss", "mean", "mode", "model", "other", "outside", "ratio", "row", "run", "tv")


class Picture(NamedTuple):
    """One image: how messages call it, its class, the file that holds it, and what opens it."""

    name: str
    label: str
    file: Path
    open: Callable[[], Image.Image]


Pictures = dict[str, list[Picture]]  # WHOLE alone, or TRAIN and TEST


def list_own(path: Path) -> Pictures:
    """All images of a place, unread. Raises UserError for a place that holds none, or not as it should."""
    if path.is_file():
        return {WHOLE: _listed(path)}
    if not path.is_dir():
        raise UserError(f"{path} is neither a folder nor a file: name your images, {LAYOUT}, or .npz, or .parquet")
    found = {split: place for split in (TRAIN, TEST) if (place := _place_of(path, split))}
    if len(found) == 1:
        there, lacks = (TRAIN, TEST) if TRAIN in found else (TEST, TRAIN)
        raise UserError(f"{path} has {there} but no {lacks}: add it, or name {found[there]} to have it split by seed")
    listed = {split: _listed(place) for split, place in (found or {WHOLE: path}).items()}
    labels = [{each.label for each in pictures} for pictures in listed.values()]
    for lone in sorted(set.union(*labels) - set.intersection(*labels)):
        raise UserError(f"{path}: the class {lone} is not in both train and test: add images of it, or leave it out")
    return listed


def class_names(listed: Pictures) -> tuple[str, ...]:
    """The classes in the order of their labels: numbers by value, names by the alphabet. Raises UserError for one
    alone, and for a name that no table can take.
    """
    names = {each.label for pictures in listed.values() for each in pictures}
    for name in sorted(names):
        odd = [each for each in name if unicodedata.category(each)[0] not in "LMN" and each not in " _-."]
        if odd or not name.strip() or len(name) > LONGEST or name in TAKEN:
            rule = f"letters and digits of any script, space, `_`, `-`, `.`, at most {LONGEST}"
            raise UserError(f"the class {name!r} cannot be called so ({rule}; not {', '.join(TAKEN)}): rename it")
    if len(names) < 2:
        raise UserError(f"there is one class alone, {names.pop()}: a study needs two at least, {LAYOUT}")
    return tuple(sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)))


def digest_of(path: Path, listed: Pictures) -> str:
    """sha256 hex of the bytes and the names of all files that hold images, wherever `path` lies."""
    digest, folder = hashlib.sha256(), path if path.is_dir() else path.parent
    for file in sorted({each.file for pictures in listed.values() for each in pictures}):
        try:
            with open(file, "rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            found = type(error).__name__
        digest.update(f"{file.relative_to(folder).as_posix()} {found}\n".encode())
    return digest.hexdigest()


def _place_of(path: Path, split: str) -> Path | None:
    places = (path / split, *(path / f"{split}{kind}" for kind in KINDS))
    return next((place for place in places if place.exists()), None)


def _listed(place: Path) -> list[Picture]:
    """The images of a folder or a file. Raises UserError for a file of another kind, or too many images."""
    readers = {".npz": _of_arrays, ".parquet": _of_parquet, "": _of_folder}
    kind = "" if place.is_dir() else place.suffix.lower()
    if place.is_file() and kind not in KINDS:
        raise UserError(f"{place} is neither .npz nor .parquet: name one of them, or {LAYOUT}")
    found = list(readers[kind](place))
    if len(found) > MOST:
        raise UserError(f"{place} holds {len(found):,} images: take {MOST:,} of them at most")
    return found


def _of_folder(folder: Path) -> Iterable[Picture]:
    classes = folders_in(folder)
    if has_pictures(folder):
        raise UserError(f"{folder} holds pictures that are in no class: put them into {LAYOUT}")
    if not classes:
        raise UserError(f"{folder} holds no folders of pictures ({', '.join(FORMATS)}): it takes {LAYOUT}")
    for each in classes:
        files, deeper = pictures_in(each), folders_in(each)
        if deeper:
            raise UserError(f"{deeper[0]} lies in a class's folder: pictures lie there directly, move them up")
        label = unicodedata.normalize("NFC", each.name)
        yield from (Picture(str(file), label, file, lambda file=file: _open_file(file)) for file in files)


def _open_file(file: Path) -> Image.Image:
    size = file.stat().st_size
    if size > LARGEST_PICTURE:
        raise ValueError(f"it is too large, {size / 1e6:,.0f} MB")
    return Image.open(file, formats=list(FORMATS.values()))


def _of_arrays(file: Path) -> Iterable[Picture]:
    arrays = read_arrays(file)
    images, labels = arrays[IMAGES], arrays.get(LABELS)
    shape, count = images.shape, len(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and shape[3] not in (1, 3, 4)):
        raise UserError(f"{file} holds images {shape} {images.dtype}: save uint8 (N, H, W), or (N, H, W, 1, 3 or 4)")
    if labels is None or labels.shape != (count,) or labels.dtype.kind not in "iuU":
        found = "no labels" if labels is None else f"labels {labels.shape} {labels.dtype}"
        raise UserError(f"{file} holds {found}: save `{LABELS}`, a number or a name for each of the {count:,} images")
    flat = images[..., 0] if images.ndim == 4 and shape[3] == 1 else images
    names = [f"{file} image {row}" for row in range(count)]
    opened = (lambda row=row: Image.fromarray(flat[row]) for row in range(count))
    return [Picture(name, str(label), file, each) for name, label, each in zip(names, labels, opened, strict=True)]


def _of_parquet(file: Path) -> Iterable[Picture]:
    """In the layout of the Hugging Face hub: `image` or `img`, a file's bytes (in a struct or not), and `label`."""
    if file.stat().st_size > LARGEST:
        raise UserError(f"{file} has {file.stat().st_size / 1e9:.1f} GB: take a part of it")
    try:
        table = pyarrow.parquet.read_table(file)
        column = table.column(next(name for name in ("image", "img") if name in table.column_names)).combine_chunks()
        content = column.field("bytes") if pyarrow.types.is_struct(column.type) else column
        labels = _labels_of(table)
        if not (pyarrow.types.is_binary(content.type) or pyarrow.types.is_large_binary(content.type)):
            raise ValueError(f"its images are {content.type}, not the bytes of picture files")
    except (pyarrow.ArrowException, OSError, LookupError, StopIteration, TypeError, ValueError) as error:
        fault = " ".join(str(error).split())[:200] or "no column image"
        raise UserError(f"{file} is no parquet file of images ({fault}): it takes columns image and label") from None
    opened = (lambda row=row: _open_bytes(content[row].as_py()) for row in range(len(content)))
    return [
        Picture(f"{file} row {row}", label, file, each)
        for row, (label, each) in enumerate(zip(labels, opened, strict=True))
    ]


def _open_bytes(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=list(FORMATS.values()))


def _labels_of(table: pyarrow.Table) -> Sequence[str]:
    """Classes by name: texts, or numbers that the hub's metadata have names for, or numbers. Raises LookupError."""
    labels = table.column("label").to_pylist()
    about: Mapping = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    names = about.get("info", {}).get("features", {}).get("label", {}).get("names")
    if None in labels:
        raise ValueError(f"row {labels.index(None)} has no label")
    return [names[label] if names and isinstance(label, int) else str(label) for label in labels]

"""Arrays that somebody saved: an .npz file of images and labels, looked at before it is read."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modescope.errors import UserError

IMAGES, LABELS = "images", "labels"  # members of an .npz file
LARGEST = 2_000_000_000  # bytes of values that are read at once


def read_arrays(path: Path) -> dict[str, NDArray]:
    """`images` (or the only array there is) and `labels`, whose headers are looked at before anything is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {Path(name).stem: read_header(archive, name) for name in archive.namelist()}
        if any(dtype.hasobject for _, dtype in headers.values()):
            raise UserError(f"{path} holds a pickled object, which could run anything: save arrays of numbers alone")
        found = IMAGES if IMAGES in headers else next(iter(headers)) if len(headers) == 1 else None
        if found is None:
            raise UserError(f"{path} has no array `{IMAGES}`, only {', '.join(headers) or 'nothing'}: name it so")
        wanted = {IMAGES: found} | ({LABELS: LABELS} if LABELS in headers else {})
        for name in wanted.values():
            refuse_size(*headers[name], path)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[member] for name, member in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, KeyError) as error:
        fault = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is no file that numpy.savez wrote ({fault}): write it again") from None


def read_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an archive's array. Raises ValueError for what is none."""
    with archive.open(name) as file:
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise ValueError(f"{name} has version {version} of NumPy's format")
        shape, _, dtype = readers[version](file)
        return shape, dtype


def refuse_size(shape: tuple[int, ...], dtype: np.dtype, path: Path) -> None:
    """Raises UserError for more than fits into memory, or for nothing at all."""
    count, size = (shape or (0,))[0], int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > LARGEST:
        most = count * LARGEST // size
        raise UserError(f"{path} holds {size / 1e9:.1f} GB in {count:,} images: take the first {most:,} of them")
    if size == 0:
        raise UserError(f"{path} holds no images: its array is {shape}")

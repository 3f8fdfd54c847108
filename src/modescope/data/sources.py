"""Where images come from: one function per dataset, each giving a `Dataset` for "train" and one for "test"."""

import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from modescope.config import OwnImages
from modescope.data.archives import Archive, download, find, has_md5
from modescope.data.prepared import Dataset
from modescope.data.slots import Splits, held_out, own_splits
from modescope.errors import UserError
from modescope.vision import torchvision

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_ROWS = {"train": 50_000, "test": 10_000}
PARQUET_BYTES = 4096  # of an image, at most
DIGITS_TEST_SHARE = 0.2
DIGITS_SEED = 0


def fetch(name: str | OwnImages, slot: str = "rgb") -> Splits:
    """The "train" and the "test" split of a dataset, from the first source that has it.

    Args:
        name: `cifar10`, `mnist`, `digits` or `digits-rgb`, or images of the user's own. What comes back for `cifar10`
            is named `cifar10-jpeg` if it came from the mirror's parquet files.
        slot: the one that own images are fitted to.

    Raises:
        UserError: unknown name; no source can be reached; an archive is truncated or altered; a source gives something
            else than images with labels; own images that cannot be read.
    """
    if isinstance(name, OwnImages):
        return brightened(own_splits(name, slot))
    if name not in SOURCES:
        raise UserError(f"unknown dataset {name!r}: known are {', '.join(SOURCES)}")
    return brightened(SOURCES[name]())


def brightened(splits: Splits) -> Splits:
    """The same, the brightest pixel of the first split, `train`, at 255: pythae fits no mixture to darker ones.

    Raises UserError for what are no images with labels, and for black images.
    """
    for split, dataset in splits.items():
        try:
            dataset.check()
        except ValueError as error:
            raise UserError(f"the source of {dataset.name} gives no {split} images: {error}") from None
    train = next(iter(splits.values()))
    brightest = int(train.images.max())
    if brightest == 255:
        return splits
    if brightest == 0:
        raise UserError(f"all training images of {train.name} are black: mend its source in data/sources.py")
    print(f"{train.name}: the brightest pixel is {brightest}, so all images are scaled by 255/{brightest}")
    levels = (torch.arange(256) * 255 / brightest).round().clamp(max=255).byte()
    return {split: replace(each, images=levels[each.images.int()]) for split, each in splits.items()}


def cifar10() -> Splits:
    """CIFAR-10 (Krizhevsky 2009), 32x32 RGB: the mirror's official archive, else its parquet files, else the network.

    The rows of the parquet files lie in another order than the official ones: a list of indices means rows of one of
        them.
    """
    official = torchvision.datasets.CIFAR10
    archive = Archive(f"cifar10/{official.filename}", 170_498_071, has_md5(official.tgz_md5))
    if path := find(archive):
        return _official_cifar10(path)
    if paths := _cifar10_parquet():
        return {split: _read_parquet(path) for split, path in paths.items()}
    return _official_cifar10(download(archive, [official.url]))


def mnist() -> Splits:
    """MNIST (LeCun et al. 1998), 28x28 grey: the mirror's official archives, else the network."""
    official = torchvision.datasets.MNIST
    paths = []
    for name, md5 in official.resources:
        archive = Archive(f"mnist/{name}", 9_912_422, has_md5(md5))
        paths.append(find(archive) or download(archive, [mirror + name for mirror in official.mirrors]))
    data = _read_official(official, paths, "MNIST/raw")
    return {
        split: Dataset("mnist", "official", each.data.unsqueeze(1), each.targets.long(), DIGITS)
        for split, each in data.items()
    }


def digits() -> Splits:
    """scikit-learn's embedded 1,797 handwritten digits (UCI, 8x8), enlarged to 28x28 grey."""
    return _embedded_digits("digits", size=28, channels=1)


def digits_rgb() -> Splits:
    """The same digits, enlarged to 32x32 in three equal channels: they stand in for CIFAR-10 where nothing may be
    downloaded.
    """
    return _embedded_digits("digits-rgb", size=32, channels=3)


SOURCES: dict[str, Callable[[], Splits]] = {
    "cifar10": cifar10,
    "mnist": mnist,
    "digits": digits,
    "digits-rgb": digits_rgb,
}


def _read_official(dataset: type, paths: Sequence[Path], folder: str) -> dict[str, object]:
    """torchvision's `dataset` objects of both splits; it checks and unpacks the archives below a scratch folder of its
    own.
    """
    with tempfile.TemporaryDirectory(prefix="modescope-") as scratch:
        place = Path(scratch) / folder
        place.mkdir(parents=True, exist_ok=True)
        for path in paths:
            (place / path.name).symlink_to(path.resolve())
        return {split: dataset(scratch, train=split == "train", download=True) for split in ("train", "test")}


def _official_cifar10(archive: Path) -> Splits:
    data = _read_official(torchvision.datasets.CIFAR10, [archive], ".")
    return {
        split: Dataset(
            "cifar10", "official", _channels_first(each.data), torch.tensor(each.targets), tuple(each.classes)
        )
        for split, each in data.items()
    }


def _channels_first(images: np.ndarray) -> Tensor:
    """(N, H, W, C) to a contiguous (N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _cifar10_parquet() -> dict[str, Path] | None:
    """The mirror's two parquet files, or None if it lacks one of them."""
    paths = {}
    for split, rows in CIFAR10_ROWS.items():
        archive = Archive(f"cifar10/{split}.parquet", rows * PARQUET_BYTES, partial(_parquet_fault, rows=rows))
        path = find(archive, keep=False)
        if path is None:
            return None
        paths[split] = path
    return paths


def _parquet_fault(path: Path, rows: int) -> str | None:
    """What is wrong with a parquet file that should hold `rows` images of all ten classes; None if nothing.

    These files have no official checksum: this is the check that they get.
    """
    wanted = "not readable as parquet with columns img and label"
    try:
        schema = pyarrow.parquet.read_schema(path)
        kinds = [schema.field("img").type.field("bytes").type, schema.field("label").type]
        if not (pyarrow.types.is_binary(kinds[0]) and pyarrow.types.is_integer(kinds[1])):
            return f"{wanted}: img.bytes are {kinds[0]}, label is {kinds[1]}"
        labels = pyarrow.parquet.read_table(path, columns=["label"]).column("label").combine_chunks()
    except (pyarrow.ArrowException, OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        return f"{wanted}: {' '.join(str(error).split())[:200]}"
    if len(labels) != rows:
        return f"{len(labels)} rows, expected {rows}"
    if (found := sorted(set(labels.to_pylist()), key=str)) != list(range(len(CIFAR10))):
        return f"labels {', '.join(map(str, found[-20:]))}, expected 0 to {len(CIFAR10) - 1}"
    return None


def _read_parquet(path: Path) -> Dataset:
    """CIFAR-10 in the layout of the Hugging Face hub (`img`: struct of JPEG `bytes` and `path`; `label`), rows in the
    file's order.
    """
    table = pyarrow.parquet.read_table(path, columns=["img", "label"])
    pictures = table.column("img").combine_chunks().field("bytes")
    images = np.empty((len(pictures), 32, 32, 3), dtype=np.uint8)
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    for row, picture in enumerate(tqdm(pictures, desc=f"decoding {path.name}", unit=" images", disable=None)):
        try:
            images[row] = _decode(picture.as_py())
        except Exception:  # Pillow names no errors of its own
            fault = f"{path}: row {row} is no readable 32x32 image"
            raise UserError(f"{fault}: replace the file by a good copy") from None
    labels = torch.from_numpy(table.column("label").to_numpy().astype(np.int64))
    return Dataset("cifar10-jpeg", "parquet", _channels_first(images), labels, CIFAR10)


def _decode(picture: bytes) -> Image.Image:
    """A JPEG or PNG file of 32x32 pixels. Another size is refused by its header, before it takes memory."""
    image = Image.open(io.BytesIO(picture), formats=("JPEG", "PNG"))
    if image.size != (32, 32):
        raise ValueError(f"expected 32x32 pixels, found {image.size}")
    return image.convert("RGB")


def _embedded_digits(name: str, size: int, channels: int) -> Splits:
    """Bicubic enlargement in Pillow's integer arithmetic (the same bytes everywhere); a seeded fifth of each class is
    the test set.
    """
    from sklearn.datasets import load_digits  # brings SciPy, which no other data set needs

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    large = np.stack([Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in grey])
    images = torch.from_numpy(large).unsqueeze(1).repeat(1, channels, 1, 1)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    is_test = held_out(labels, DIGITS, DIGITS_TEST_SHARE, DIGITS_SEED)
    return {
        split: Dataset(name, "digits", images[rows], labels[rows], DIGITS)
        for split, rows in (("train", ~is_test), ("test", is_test))
    }

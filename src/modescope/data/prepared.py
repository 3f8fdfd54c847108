"""Prepared data: one safetensors file per split of a dataset, memory-mapped when it is read."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from modescope.errors import UserError
from modescope.files import atomic_path


@dataclass(frozen=True)
class Dataset:
    """One split of an image dataset.

    Attributes:
        name: `cifar10`, `cifar10-jpeg`, `mnist`, `digits`, `digits-rgb`, or of the user's own images their folder's.
        source: `official`, `parquet` or `digits`; `folder`, `npz` or `parquet` of own images.
        images: (N, C, H, W) uint8.
        labels: (N,) int64, an index into `classes`.
        classes: one name per label.
    """

    name: str
    source: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def check(self) -> None:
        """Raises ValueError for tensors of other shapes, types or values."""
        kinds = (self.images.dtype, self.images.ndim), (self.labels.dtype, self.labels.ndim)
        if kinds != ((torch.uint8, 4), (torch.int64, 1)) or not 0 < len(self.images) == len(self.labels):
            raise ValueError(f"images {tuple(self.images.shape)}, labels {tuple(self.labels.shape)} of {kinds}")
        if not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(f"labels other than those of {len(self.classes)} classes")


def save_prepared(dataset: Dataset, path: Path, split: str) -> None:
    """Write a dataset atomically. Equal datasets give equal bytes, so the file's digest names its content.

    The tensors are `images` and `labels`; the metadata are `name`, `source`, `classes` (a JSON list) and `split`.
    """
    metadata = {"name": dataset.name, "source": dataset.source, "classes": json.dumps(dataset.classes), "split": split}
    content = save({"images": dataset.images.contiguous(), "labels": dataset.labels.contiguous()}, metadata)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for part in _with_sorted_metadata(content):
            file.write(part)


def load_prepared(path: Path) -> Dataset:
    """Read what `save_prepared` wrote. The tensors stay on disk until they are used.

    Raises:
        UserError: the file is missing, or is no prepared data.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            images, labels = file.get_tensor("images"), file.get_tensor("labels")
        found = Dataset(metadata["name"], metadata["source"], images, labels, tuple(json.loads(metadata["classes"])))
        found.check()
        return found
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `dvc repro download`") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no prepared data ({error}): delete it and run `dvc repro download`") from None


def _with_sorted_metadata(content: bytes) -> tuple[bytes, bytes, memoryview]:
    """The parts of a safetensors file, its header's metadata sorted by key.

    safetensors writes them in an order that differs from process to process. The header keeps its length: 8 bytes that
    state it, then JSON padded with spaces.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return content[:8], text.ljust(end - 8), memoryview(content)[end:]

"""Weights on disk: one safetensors file, equal bytes for equal weights."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from modescope.errors import UserError, blaming
from modescope.files import atomic_path, read_json, sha256
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE


def save_weights(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write `folder`/model.safetensors, whatever device and memory format the tensors have.

    Raises UserError for a tensor that is not finite: the last update's loss is looked at, what it did to the weights
    is not.
    """
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise UserError(f"training diverged: {broken[0]} is not finite; lower the learning rate or use precision fp32")
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(content)


def load_weights(path: Path, what: str = "weights") -> dict[str, Tensor]:
    """The tensors of a run's model.safetensors, which is the very file that the run.json beside it names.

    Raises UserError, in which they are called `what`, if it is missing, damaged or another file.
    """
    record, found = path.with_name(RUN_FILE), sha256(path)
    expected = read_json(record, params=dict).get("weights_sha256", found) if record.exists() else found
    if found != expected:
        raise UserError(
            f"{path} is not the file that {record} names (its sha256 begins with {found[:12]}, "
            f"expected {str(expected)[:12]}): `dvc checkout` brings that back, `dvc repro` trains it again"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        fault = f"{path} holds no {what} ({error}), it does not fit {RUN_FILE}"
        raise UserError(f"{fault}: delete it, then `dvc checkout` or `dvc repro`") from None


def fitting(folder: Path) -> AbstractContextManager[None]:
    """Build a network from a run's folder inside. Raises UserError if its files do not belong together."""
    return blaming(f"{folder}: {WEIGHTS_FILE} does not fit {RUN_FILE}", "delete the folder and run `dvc repro`")


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The state of the network `name` among tensors whose names are prefixed `NETWORK.`."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}

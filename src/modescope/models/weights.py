"""Weights on disk: one safetensors file, equal bytes for equal weights."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from modescope.errors import UserError
from modescope.files import atomic_path

WEIGHTS = "model.safetensors"


def save_weights(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write `folder`/model.safetensors, whatever device and memory format the tensors have.

    Raises UserError for a tensor that is not finite: the last update's loss is looked at, what it did to the weights
    is not.
    """
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise UserError(f"training diverged: {broken[0]} is not finite; lower the learning rate or use precision fp32")
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    with atomic_path(folder / WEIGHTS) as temporary:
        temporary.write_bytes(content)


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The state of the network `name` among tensors whose names are prefixed `NETWORK.`."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}

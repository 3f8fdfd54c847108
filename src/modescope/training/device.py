"""Where and in which arithmetic networks run."""

import os
from functools import cache

import torch

from modescope.errors import UserError


def training_device() -> torch.device:
    """`$MODESCOPE_DEVICE` where set, else CUDA where present, else the CPU. Raises UserError for a device that is not there."""
    name = os.environ.get("MODESCOPE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"MODESCOPE_DEVICE={name}, but torch sees no CUDA device: unset it to run on the CPU")
    return torch.device(name)


@cache
def usable_precision(precision: str, device_type: str) -> str:
    """`precision`, or fp32 where a CPU has no bfloat16 arithmetic (emulation would be slower than float32)."""
    if precision == "bf16" and device_type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "fp32"
    return precision


def autocast(device_type: str, precision: str) -> torch.autocast:
    """The context in which losses are computed: bfloat16 trunk, float32 weights, or plain float32."""
    return torch.autocast(device_type, dtype=torch.bfloat16, enabled=usable_precision(precision, device_type) == "bf16")

"""Where and in which arithmetic networks run."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from modescope.errors import UserError

# Of one number to another, that torch leaves to MKL.
MKL_FUNCTIONS = ("acos", "asin", "atan", "cos", "erf", "erfc", "erfinv", "exp", "log", "log2", "log10", "sin", "sqrt")
MKL_FUNCTIONS += ("tan", "tanh", "trunc")


@cache
def choose_kernels() -> None:
    """Let MKL choose what computes each of its functions, in one thread, before several call them.

    It chooses at a function's first call. Of two threads that call it first at once one may get a coarser kernel for
    this call, and the same seed gives other weights (pytorch/pytorch issue 188792).
    """
    for name in MKL_FUNCTIONS:
        for dtype in (torch.float32, torch.float64):
            getattr(torch, name)(torch.zeros(1, dtype=dtype))


def training_device() -> torch.device:
    """`$MODESCOPE_DEVICE` where set, else CUDA where present, else the CPU.

    Raises UserError for a device that is not there.
    """
    name = os.environ.get("MODESCOPE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"MODESCOPE_DEVICE={name} is no device for training: set it to cpu, cuda or cuda:NUMBER")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"MODESCOPE_DEVICE={name}, but torch sees no CUDA device: unset it to run on the CPU")
    if name.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    choose_kernels()
    return torch.device(name)


def usable_precision(precision: str, device_type: str) -> str:
    """`precision` on CUDA; fp32 on a CPU, which has no tf32 and may lose by bf16 (docs/performance.md)."""
    return precision if device_type == "cuda" else "fp32"


@contextmanager
def arithmetic(device_type: str, precision: str, deterministic: bool) -> Iterator[None]:
    """CUDA's settings for a training run; a CPU needs none.

    Unless `precision` is fp32, float32 products run as TF32: under bf16, too, what autocast leaves in float32.
    `deterministic` asks for algorithms that give the same bits every time; without it cuDNN picks the fastest by trial.
    What has no deterministic form warns.
    """
    if device_type != "cuda":
        yield
        return
    matmul, was_allowed = torch.backends.cuda.matmul, torch.backends.cuda.matmul.allow_tf32
    was_deterministic, filled = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    matmul.allow_tf32 = precision != "fp32"
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = (
        False  # a kernel for every new tensor, which nothing here reads before it is written
    )
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=not deterministic, deterministic=deterministic, allow_tf32=precision != "fp32"
        ):
            yield
    finally:
        matmul.allow_tf32 = was_allowed
        torch.use_deterministic_algorithms(was_deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filled


def fused(lr: float, device: torch.device) -> dict[str, Any]:
    """Options of an Adam that is one kernel and, on CUDA, can be recorded: its learning rate is a tensor there."""
    if device.type == "cuda":
        return {"lr": torch.tensor(lr, device=device), "fused": True, "capturable": True}
    return {"lr": lr, "fused": True}


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Of all parameters; a tensor is filled in place, so that a recorded iteration reads it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def autocast(device_type: str, precision: str) -> torch.autocast:
    """The context in which losses are computed: bfloat16 trunk, float32 weights, or plain float32."""
    return torch.autocast(device_type, dtype=torch.bfloat16, enabled=usable_precision(precision, device_type) == "bf16")

"""How fast a loop is, what it computes, and what it needs of the machine."""

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Run = Callable[[int], None]  # `run(steps)`
ROUNDS = 5
WARM_UP = 4
STEPS = {"cpu": 10, "cuda": 300}  # a round's, at most
MIB = 2**20


def steps_per_second(run: Run, steps: int, device: torch.device) -> float:
    began = time.perf_counter()
    run(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - began)


def rate(run: Run, device: torch.device, seconds: float = 1.0) -> float:
    """Steps a second of a loop that is warm: the median of `ROUNDS` rounds of about `seconds`."""
    steps = max(2, min(STEPS[device.type], int(seconds * steps_per_second(run, 2, device))))
    return statistics.median(steps_per_second(run, steps, device) for _ in range(ROUNDS))


def alternate(ours: Run, plain: Run, device: torch.device, seconds: float) -> dict[str, float]:
    """Both loops in turn, `ROUNDS` rounds each, the plain one's of about `seconds`.

    Returns:
        the medians of the rounds, and median and extremes of the ratio.
    """
    for run in (ours, plain):
        run(WARM_UP)
    steps = max(2, min(STEPS[device.type], int(seconds * steps_per_second(plain, 1, device))))
    rates = [[steps_per_second(run, steps, device) for run in (ours, plain)] for _ in range(ROUNDS)]
    our_rate, plain_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    ratios = [our / other for our, other in rates]
    return {
        "ours_steps_per_second": our_rate,
        "plain_steps_per_second": plain_rate,
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def peak_flops(device: torch.device) -> float:
    """Floating-point operations a second of the best of ten matrix products: the machine's measured limit.

    In bfloat16 on CUDA, in float32 on a CPU.
    """
    size = 2048 if device.type == "cpu" else 8192
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    rates = [steps_per_second(lambda _: a @ b, 1, device) for _ in range(10)]
    return 2 * size**3 * max(rates)


class OperationCounter(TorchDispatchMode):
    """Adds up the floating-point operations of convolutions and matrix products.

    torch's FlopCounterMode also follows modules, and fails under a gradient penalty.
    """

    total = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        count = flop_registry.get(function._overloadpacket)
        self.total += count(*arguments, **(options or {}), out_val=result) if count else 0
        return result


def counted_flops(run: Run) -> int:
    """Operations of one step, forward and backward."""
    with OperationCounter() as counter:
        run(1)
    return counter.total


def with_peak_memory(make: Callable[[], Run], device: torch.device) -> tuple[Run, float | None]:
    """Make a loop, run it, and measure its peak memory in MiB.

    Of the GPU, else of the process beyond what it held before; None where that is not known.
    """
    gc.collect()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)  # glibc keeps what the last loop freed, and the next would seem to need nothing
    before = torch.cuda.memory_allocated() if device.type == "cuda" else psutil.Process().memory_info().rss
    run = make()
    _forget_peak(device)
    run(WARM_UP)
    peak = _peak(device)
    return run, None if peak is None else max(0.0, (peak - before) / MIB)


def _forget_peak(device: torch.device) -> None:
    clear = Path("/proc/self/clear_refs")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif clear.exists():
        clear.write_text("5", encoding="utf-8")  # forgets VmHWM: man 5 proc


def _peak(device: torch.device) -> int | None:
    """Bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)


def machine(device: torch.device) -> dict[str, Any]:
    """The machine's name, and its measured limit."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return {"device": name, "torch": torch.__version__, "peak_gflops": peak_flops(device) / 1e9}

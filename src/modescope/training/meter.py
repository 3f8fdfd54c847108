"""Means of losses, and the time that a training run took."""

import math
import time

import torch
from torch import Tensor

from modescope.errors import UserError

COUNT = "iterations"  # among the sums of losses


class Meter:
    """Means of losses between two readings, summed on the device (nothing is read back per step), and the time spent.

    `history` is every reading so far, each with its `step`. The sums stay where they are in memory: a CUDA graph of the
    iteration adds to them.
    """

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self.sums: dict[str, Tensor] = {}
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one iteration's losses to the sums, one of which counts."""
        for name, value in losses.items():
            self._sum(name, value.device).add_(value)
        self._sum(COUNT, value.device).add_(1)

    def _sum(self, name: str, device: torch.device) -> Tensor:
        if name not in self.sums:
            self.sums[name] = torch.zeros((), device=device)
        return self.sums[name]

    def read(self, step: int) -> dict[str, float]:
        """Means since the last reading as `train/NAME`. Raises UserError if one is not finite."""
        read = dict(zip(self.sums, torch.stack([*self.sums.values()]).tolist(), strict=True))
        count = read.pop(COUNT)
        means = {f"train/{name}": total / count for name, total in read.items()}
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise UserError(
                f"training diverged: {broken[0]} is not finite at step {step}; "
                "lower the learning rate or use precision fp32"
            )
        for total in self.sums.values():
            total.zero_()
        self.history.append({"step": step, **means})
        return means

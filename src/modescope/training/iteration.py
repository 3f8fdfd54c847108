"""One iteration of a training: what is trained, on which batches, and the losses that it gives."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from modescope.config.base import LrSchedule
from modescope.errors import UserError
from modescope.training.device import autocast

COUNT = "iterations"  # among the sums of losses
PREVIEW_COUNT = 64  # images of a preview grid


class Phase(NamedTuple):
    """One part of an iteration: `steps` updates of `module` by `optimizer`, each on a batch of its own.

    `learning_rate` gives that of a 0-based iteration; None for a constant one.
    """

    name: str
    module: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int = 1
    learning_rate: Callable[[int], float] | None = None


def learning_rate(start: float, schedule: LrSchedule, num_steps: int) -> Callable[[int], float] | None:
    """A phase's `learning_rate`: None if constant, else from `start` straight to 0 after `num_steps` iterations."""
    return None if schedule == "constant" else lambda step: start * (1 - step / num_steps)


class Batch(NamedTuple):
    """images: (N, C, H, W) uint8; labels: (N,) int64; both on the training device."""

    images: Tensor
    labels: Tensor


class Stream(Protocol):
    """Gives the batch of any number, always the same one: which rows it has, and the images and labels of rows."""

    def rows(self, number: int) -> Tensor: ...

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]: ...


class Objective(Protocol):
    """What the loop asks of the thing that is trained.

    Attributes:
        replayable: whether `losses` and `finish_iteration` do the same work on the device whatever the step, so that a
            recording of them can be replayed (training/replay.py): no numbers from the host, none read back.
    """

    replayable: bool
    phases: Sequence[Phase]

    def before_step(self, step: int) -> None:
        """Called before the 0-based `step`: schedules live here."""

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Scalars of this phase: "loss", which is differentiated, and whatever is worth logging, detached."""

    def finish_iteration(self) -> None:
        """Called when all phases are done, as a part of the iteration: averages of weights live here."""

    def after_step(self, step: int) -> dict[str, float]:
        """Called after `step` iterations are done; returns metrics to log at that step, mostly none."""

    def preview(self) -> dict[str, Tensor]:
        """Named stacks of images (N, C, H, W) uint8 to look at; leaves weights and random numbers alone."""

    def extra_state(self) -> dict[str, Any]:
        """State to checkpoint beyond the phases' modules and optimisers."""

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave."""

    def weights(self) -> dict[str, Tensor]:
        """What the trained run keeps."""


class Training(NamedTuple):
    """Everything the loop needs."""

    objective: Objective
    stream: Stream
    num_steps: int

    @property
    def device(self) -> torch.device:
        return next(self.objective.phases[0].module.parameters()).device


def rows_of(training: Training, step: int) -> list[Tensor]:
    """Which rows of the data each update of the 0-based iteration `step` takes, phase by phase; (B,) int64 each."""
    return [
        training.stream.rows(step * phase.steps + index)
        for phase in training.objective.phases
        for index in range(phase.steps)
    ]


def iterate(training: Training, rows: Iterable[Tensor], precision: str) -> dict[str, Tensor]:
    """One iteration: every phase's updates in order, and what ends it.

    Args:
        rows: of `rows_of`.

    Returns:
        the detached losses of each phase's last update, named `phase_part`.
    """
    objective, stream, _ = training
    read, left = {}, iter(rows)
    for phase in objective.phases:
        prefix = f"{phase.name}_" if len(objective.phases) > 1 else ""
        for _ in range(phase.steps):
            losses = update(objective, phase, Batch(*stream.gather(next(left))), precision)
        losses["gradient_norm"] = gradient_norm(phase.module)
        read.update({prefix + name: value.detach() for name, value in losses.items()})
    objective.finish_iteration()
    return read


def update(objective: Objective, phase: Phase, batch: Batch, precision: str) -> dict[str, Tensor]:
    """One update of `phase`, and its losses.

    It has an autocast of its own, because autocast keeps its low-precision copies of the weights until it ends.
    """
    phase.optimizer.zero_grad(set_to_none=True)
    with autocast(batch.images.device.type, precision):
        losses = objective.losses(phase.name, batch)
        losses["loss"].backward()
    phase.optimizer.step()
    return losses


def gradient_norm(module: nn.Module) -> Tensor:
    """L2 norm of the last update's gradient of all parameters of `module`."""
    return nn.utils.get_total_norm([parameter.grad for parameter in module.parameters() if parameter.grad is not None])


class Meter:
    """Means of losses between two readings, summed on the device (nothing is read back per step), and the time spent.

    `history` is every reading so far, each with its `step`. The sums stay where they are in memory: a recorded
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
                f"training diverged: {broken[0]} is not finite at step {step}; lower the learning rate or use precision fp32"
            )
        for total in self.sums.values():
            total.zero_()
        self.history.append({"step": step, **means})
        return means

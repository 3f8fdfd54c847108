"""The one training loop. It iterates an objective's phases and knows nothing of what is trained."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from modescope.errors import UserError
from modescope.training.checkpoints import Checkpoint
from modescope.training.device import autocast

PREVIEW_COUNT = 64  # images of a preview grid
CURVE_POINTS = 200  # points of a curve
PREVIEWS = 10  # previews of a training
SECONDS_BETWEEN_LINES = 30


class Phase(NamedTuple):
    """One part of an iteration: `steps` updates of `module` by `optimizer`, each on a batch of its own."""

    name: str
    module: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int = 1


class Batch(NamedTuple):
    """images: (N, C, H, W) uint8; labels: (N,) int64; both on the training device."""

    images: Tensor
    labels: Tensor


class Stream(Protocol):
    """Gives the batch of any step, always the same one."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]: ...


class Log(Protocol):
    """Takes plain floats and uint8 images; `rewind` drops what came after a step."""

    def rewind(self, step: int) -> None: ...

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def image(self, name: str, image: Tensor, step: int) -> None: ...


class Objective(Protocol):
    """What the loop asks of the thing that is trained."""

    phases: Sequence[Phase]

    def before_step(self, step: int) -> None:
        """Called before the 0-based `step`: schedules live here."""

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Scalars of this phase: "loss", which is differentiated, and whatever is worth logging, detached."""

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


class Timing(NamedTuple):
    """What a training took, in all its sittings if it was interrupted."""

    seconds: float
    steps: int
    resumed_from_step: int

    @property
    def steps_per_second(self) -> float:
        return self.steps / self.seconds

    def summary(self) -> dict[str, float]:
        """As run.json keeps it."""
        return {**self._asdict(), "steps_per_second": self.steps_per_second}


def train(training: Training, *, log: Log, checkpoint: Checkpoint, precision: str) -> Timing:
    """Run the training's iterations, from the checkpoint where there is one, and return what they took.

    Curves, previews and the checkpoint go to files as they come. The weights are the same whether or not it was interrupted.
    Raises UserError at the first logged loss that is not finite.
    """
    objective, stream, num_steps = training
    meter = Meter()
    start = checkpoint.restore(objective, meter)
    log.rewind(start)
    every, preview_every = max(1, num_steps // CURVE_POINTS), max(1, num_steps // PREVIEWS)
    device_type = next(objective.phases[0].module.parameters()).device.type
    for step in progress(start, num_steps):
        objective.before_step(step)
        meter.add(iterate(objective, stream, step, precision))
        with autocast(device_type, precision):
            extra = objective.after_step(step + 1)
        done = step + 1
        if extra or done % every == 0 or done == num_steps:
            due = done % every == 0 or done == num_steps
            log.log({**(meter.read(done) if due else {}), **extra}, done)
        if done % preview_every == 0 or done == num_steps:
            with autocast(device_type, precision):
                for name, images in objective.preview().items():
                    log.image(name, grid(images), done)
        if done < num_steps:
            checkpoint.save_if_due(objective, done, meter)
    checkpoint.finish(objective, num_steps, meter)
    return Timing(meter.seconds, num_steps, start)


def iterate(objective: Objective, stream: Stream, step: int, precision: str) -> dict[str, Tensor]:
    """One iteration: every phase's updates in order. Returns the detached losses, named `phase_part`."""
    read: dict[str, Tensor] = {}
    for phase in objective.phases:
        prefix = f"{phase.name}_" if len(objective.phases) > 1 else ""
        for index in range(phase.steps):
            batch = Batch(*stream.batch(step * phase.steps + index))
            losses = update(objective, phase, batch, precision)
        losses["gradient_norm"] = gradient_norm(phase.module)
        read.update({prefix + name: value.detach() for name, value in losses.items()})
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

    `history` is every reading so far, each with its `step`.
    """

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.float()
        self.count += 1

    def read(self, step: int) -> dict[str, float]:
        """Means since the last reading as `train/NAME`. Raises UserError if one is not finite."""
        means = {f"train/{name}": value.item() / self.count for name, value in self.sums.items()}
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise UserError(f"training diverged: {broken[0]} is not finite at step {step}; lower the learning rate or use precision fp32")
        self.sums, self.count = {}, 0
        self.history.append({"step": step, **means})
        return means


def grid(images: Tensor, columns: int | None = None, padding: int = 2) -> Tensor:
    """Images (N, C, H, W) uint8 as one picture (H', W', C) uint8, row by row on white; eight columns, ten where N is a multiple of ten."""
    count, channels, height, width = images.shape
    columns = columns or (8 if count % 10 else 10)
    rows = -(-count // columns)
    sheet = images.new_full((rows * (height + padding) + padding, columns * (width + padding) + padding, channels), 255)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + padding) + padding, (index % columns) * (width + padding) + padding
        sheet[top : top + height, left : left + width] = image.permute(1, 2, 0)
    return sheet


def progress(start: int, num_steps: int):
    """Steps from `start`: a bar on a terminal, elsewhere a line with the time left every 30 seconds."""
    bar = tqdm(range(start, num_steps), initial=start, total=num_steps, disable=None, unit="step")
    if not bar.disable:
        yield from bar
        return
    began = last = time.perf_counter()
    for step in range(start, num_steps):
        yield step
        now = time.perf_counter()
        if now - last > SECONDS_BETWEEN_LINES:
            last, done = now, step + 1 - start
            left = (now - began) / done * (num_steps - step - 1)
            print(f"step {step + 1}/{num_steps}, {done / (now - began):.1f} steps/s, {left:.0f} s left", flush=True)

"""The one training loop. It iterates an objective's phases and knows nothing of what is trained."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

from torch import Tensor, nn
from tqdm import tqdm

from modescope.pictures import grid
from modescope.training.checkpoints import Checkpoint
from modescope.training.collapse import SPREAD, collapsed_at_step, relative_spread
from modescope.training.cuda_graph import Graphed
from modescope.training.device import autocast
from modescope.training.meter import Meter
from modescope.training.objective import Batch, Objective, Phase, Training

CURVE_POINTS = 200  # points of a curve
WATCHED_POINTS = 50  # of them, at which the samples' spread is measured
PREVIEWS = 10  # previews of a training run
SECONDS_BETWEEN_LINES = 30


class Log(Protocol):
    """Takes plain floats and uint8 images; `rewind` drops what came after a step."""

    def rewind(self, step: int) -> None: ...

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def image(self, name: str, image: Tensor, step: int) -> None: ...


class Timing(NamedTuple):
    """What a training run took, before and after its interruptions, and since when its samples are one image."""

    seconds: float
    steps: int
    resumed_from_step: int = 0
    collapsed_at_step: int | None = None

    @property
    def steps_per_second(self) -> float:
        return self.steps / self.seconds

    def summary(self) -> dict[str, float | None]:
        """As run.json keeps it."""
        return {**self._asdict(), "steps_per_second": self.steps_per_second}


def train(training: Training, *, log: Log, checkpoint: Checkpoint, precision: str) -> Timing:
    """Run the training's iterations, from the checkpoint where there is one, and return what they took.

    Curves, previews and the checkpoint go to files as they come. The weights are the same whether or not it was
    interrupted. Raises UserError at the first logged loss that is not finite.
    """
    objective, _, num_steps = training
    meter = Meter()
    start = checkpoint.restore(objective, meter)
    log.rewind(start)
    every, preview_every = max(1, num_steps // CURVE_POINTS), max(1, num_steps // PREVIEWS)
    watch_every = every * max(1, num_steps // every // WATCHED_POINTS)
    run = make_iteration(training, meter, precision)
    for step in progress(start, num_steps):
        objective.before_step(step)
        run(training.rows(step))
        done, is_last = step + 1, step + 1 == num_steps
        with autocast(training.device.type, precision):
            metrics = objective.after_step(done)
        if done % every == 0 or is_last:
            metrics = {**meter.read(done), **metrics}
        if done % watch_every == 0:
            metrics |= watch(training, meter.history, precision)
        if metrics:
            log.log(metrics, done)
        if done % preview_every == 0 or is_last:
            log_preview(training, log, done, precision)
        if not is_last:
            checkpoint.save_if_due(objective, done, meter)
    checkpoint.finish(objective, num_steps, meter)
    return Timing(meter.seconds, num_steps, start, collapsed_at_step(meter.history))


def make_iteration(training: Training, meter: Meter, precision: str) -> Callable[[Tensor], None]:
    """`iterate` as a function of the rows alone; on CUDA, where the objective allows it, a graph of it."""
    iteration = partial(iterate, training, meter, precision)
    is_graphed = training.device.type == "cuda" and training.objective.capturable
    return Graphed(iteration) if is_graphed else iteration


def iterate(training: Training, meter: Meter, precision: str, rows: Tensor) -> None:
    """One iteration: every phase's updates in order, and what ends it.

    `meter` is given the losses of each phase's last update, named `phase_part` where there are several phases.

    Args:
        rows: of `training.rows`.
    """
    objective, stream, _ = training
    read, left = {}, iter(rows)
    for phase in objective.phases:
        for _ in range(phase.steps):
            losses = update(objective, phase, Batch(*stream.gather(next(left))), precision)
        losses["gradient_norm"] = gradient_norm(phase.module)
        prefix = f"{phase.name}_" if len(objective.phases) > 1 else ""
        read.update({prefix + name: value.detach() for name, value in losses.items()})
    objective.finish_iteration()
    meter.add(read)


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


def watch(training: Training, history: list[dict[str, float]], precision: str) -> dict[str, float]:
    """How far the samples lie from each other, if the objective draws any; the last point of `history` gets it, too.

    Says so, once, when they have become one image.
    """
    with autocast(training.device.type, precision):
        samples = training.objective.samples()
    if samples is None:
        return {}
    real, _ = training.stream.gather(training.stream.rows(0))
    watched = {SPREAD: relative_spread(samples, real)}
    before = collapsed_at_step(history)
    history[-1] |= watched
    step = collapsed_at_step(history)
    if step is not None and before is None:
        print(f"collapsed at step {step}: samples of different z are one image, or one for each class", flush=True)
    return watched


def log_preview(training: Training, log: Log, step: int, precision: str) -> None:
    """Show what the objective has to look at after `step` iterations."""
    with autocast(training.device.type, precision):
        for name, images in training.objective.preview().items():
            log.image(name, grid(images), step)


def progress(start: int, num_steps: int) -> Iterator[int]:
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

"""The one training loop. It iterates an objective's phases and knows nothing of what is trained."""

import time
from typing import NamedTuple, Protocol

from torch import Tensor
from tqdm import tqdm

from modescope.training.checkpoints import Checkpoint
from modescope.training.device import autocast
from modescope.training.iteration import Meter, Training
from modescope.training.replay import iterations

CURVE_POINTS = 200  # points of a curve
PREVIEWS = 10  # previews of a training
SECONDS_BETWEEN_LINES = 30


class Log(Protocol):
    """Takes plain floats and uint8 images; `rewind` drops what came after a step."""

    def rewind(self, step: int) -> None: ...

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def image(self, name: str, image: Tensor, step: int) -> None: ...


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

    Curves, previews and the checkpoint go to files as they come. The weights are the same whether or not it was
    interrupted. Raises UserError at the first logged loss that is not finite.
    """
    objective, _, num_steps = training
    meter = Meter()
    start = checkpoint.restore(objective, meter)
    log.rewind(start)
    every, preview_every = max(1, num_steps // CURVE_POINTS), max(1, num_steps // PREVIEWS)
    device_type, run = training.device.type, iterations(training, meter, precision)
    for step in progress(start, num_steps):
        objective.before_step(step)
        run(step)
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


def grid(images: Tensor, columns: int | None = None, padding: int = 2) -> Tensor:
    """Images (N, C, H, W) uint8 as one picture (H', W', C) uint8, row by row on white; eight columns, ten where N is a
    multiple of ten.
    """
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

"""What is trained: an objective with its phases, the batches that it is given, and for how many steps."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from modescope.training.device import fused, set_learning_rate

PREVIEW_COUNT = 64  # images of a preview


class Phase(NamedTuple):
    """One part of an iteration: `steps` updates of `module` by `optimizer`, each on a batch of its own.

    `learning_rate` gives that of a 0-based iteration; None for a constant one.
    """

    name: str
    module: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int = 1
    learning_rate: Callable[[int], float] | None = None


def adam_phase(
    name: str,
    module: nn.Module,
    lr: float,
    betas: Sequence[float],
    steps: int = 1,
    weight_decay: float = 0.0,
    falls_for: int | None = None,
) -> Phase:
    """A phase with Adam on those weights of `module` that require a gradient, made for the device they are on.

    Args:
        falls_for: iterations in which the learning rate falls from `lr` straight to 0; None for a constant one.
    """
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    options = fused(lr, trained[0].device)
    optimizer = torch.optim.AdamW(trained, betas=tuple(betas), weight_decay=weight_decay, **options)  # 0: it is Adam
    falling = None if falls_for is None else lambda step: lr * (1 - step / falls_for)
    return Phase(name, module, optimizer, steps, falling)


class Batch(NamedTuple):
    """images: (N, C, H, W) uint8; labels: (N,) int64; both on the training device."""

    images: Tensor
    labels: Tensor


class Stream(Protocol):
    """Gives the batch of any number, always the same one: which rows it has, and the images and labels of rows."""

    def rows(self, number: int) -> Tensor: ...

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]: ...


class Objective:
    """What the loop asks of the thing that is trained. Most answers have a default: nothing.

    Attributes:
        phases: the parts of an iteration, in order.
        capturable: whether `losses` and `finish_iteration` do the same work on the device at every step, so that a
            CUDA graph can hold them: no number comes from the host, none is read back.
    """

    phases: Sequence[Phase]
    capturable = True

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Scalars of this phase: "loss", which is differentiated, and whatever is worth logging, detached."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """What the trained run keeps."""
        raise NotImplementedError

    def before_step(self, step: int) -> None:
        """Called before the 0-based `step`: sets the learning rates of the phases that have a schedule."""
        for phase in self.phases:
            if phase.learning_rate is not None:
                set_learning_rate(phase.optimizer, phase.learning_rate(step))

    def finish_iteration(self) -> None:
        """Called when all phases are done, as a part of the iteration: averages of weights live here."""

    def after_step(self, step: int) -> dict[str, float]:
        """Called after `step` iterations are done; returns metrics to log at that step."""
        return {}

    def samples(self) -> Tensor | None:
        """What the generator draws from fixed latent vectors, (N, G, C, H, W) uint8: N images of each of G classes.

        G is 1 without classes; None where nothing is drawn. Leaves weights and random numbers alone.
        """
        return None

    def preview(self) -> dict[str, Tensor]:
        """Named stacks of images (N, C, H, W) uint8 to look at; leaves weights and random numbers alone."""
        return {}

    def extra_state(self) -> dict[str, Any]:
        """State to checkpoint beyond the phases' modules and optimisers."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave."""


class Training(NamedTuple):
    """Everything the loop needs."""

    objective: Objective
    stream: Stream
    num_steps: int

    @property
    def device(self) -> torch.device:
        return next(self.objective.phases[0].module.parameters()).device

    def rows(self, step: int) -> Tensor:
        """(updates, B) int64: the rows of the data that each update of the 0-based `step` takes, phase by phase."""
        numbers = (step * phase.steps + update for phase in self.objective.phases for update in range(phase.steps))
        return torch.stack([self.stream.rows(number) for number in numbers])


def count_steps(
    epochs: float,
    batches_per_epoch: float,
    limit: float = math.inf,
    batches_per_step: int = 1,
    drop_last: bool = True,
) -> int:
    """Steps that go through the data `epochs` times, at most `limit`, at least one.

    Args:
        batches_per_epoch: rarely a whole number, as epochs lie end to end.
        drop_last: whether a last step that `epochs` does not fill is left out.
    """
    steps = round(epochs * batches_per_epoch / batches_per_step, 6)  # whole numbers survive floating point
    return max(1, min(math.floor(steps) if drop_last else math.ceil(steps), limit))

"""Checkpoints from which a training run goes on bit for bit."""

import operator
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from modescope.errors import UserError, say, seconds_of
from modescope.files import TROUBLES, atomic_path, put_aside
from modescope.runs.folder import CHECKPOINT_FILE, check_parts
from modescope.training.meter import Meter
from modescope.training.objective import Objective

TRAINED = "trained.pt"
STATE = {"model_state_dict", "optimizer_state_dict", "step", "hyperparameters", "losses", "objective", "meter"}
STATE |= {"random", "random_cuda"}
SECONDS_BETWEEN_SAVES = 30.0


class Checkpoint:
    """One file `checkpoint.pt` in the run's work folder, whose name is the run's key.

    Other parameters or other code never meet it. Its keys are those of report 2's table 9.1 (model_state_dict,
    optimizer_state_dict, step, metrics, hyperparameters, losses), and what bit for bit needs besides: objective, meter,
    random, random_cuda.

    Args:
        folder: the work folder.
        seconds: least time between two saves; `$MODESCOPE_CHECKPOINT_SECONDS` wins (it cannot change a result).
        hyperparameters: what is kept of the run's parameters.
        start: the state to begin with where `folder` has none.
        keep: leave the last state behind, as `trained.pt`.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float = SECONDS_BETWEEN_SAVES,
        hyperparameters: Mapping[str, Any] | None = None,
        start: dict[str, Any] | None = None,
        keep: bool = False,
    ):
        self.path, self.keep = Path(folder) / CHECKPOINT_FILE, keep
        self.seconds = seconds_of("MODESCOPE_CHECKPOINT_SECONDS", seconds)
        self.hyperparameters, self.start = dict(hyperparameters or {}), start
        self._last = time.monotonic()

    def save_if_due(self, objective: Objective, step: int, meter: Meter) -> None:
        """Save, unless the last save is younger than `seconds`."""
        if time.monotonic() - self._last >= self.seconds:
            self.save(self.path, objective, step, meter)
            self._last = time.monotonic()

    def finish(self, objective: Objective, step: int, meter: Meter) -> None:
        """Called at the end of the training."""
        if self.keep:
            self.save(self.path.with_name(TRAINED), objective, step, meter)

    def save(self, path: Path, objective: Objective, step: int, meter: Meter) -> None:
        """Write the state of a training."""
        with atomic_path(path, durable=True) as temporary, open(temporary, "wb") as file:
            torch.save(self.state(objective, step, meter), file)

    def state(self, objective: Objective, step: int, meter: Meter) -> dict[str, Any]:
        """Weights, optimisers, random states, the losses so far and those summed since the last reading."""
        return {
            "model_state_dict": {phase.name: phase.module.state_dict() for phase in objective.phases},
            "optimizer_state_dict": {phase.name: phase.optimizer.state_dict() for phase in objective.phases},
            "step": step,
            "metrics": meter.history[-1] if meter.history else {},
            "hyperparameters": self.hyperparameters,
            "losses": meter.history,
            "objective": objective.extra_state(),
            "meter": [meter.sums, meter.seconds],
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, objective: Objective, meter: Meter) -> int:
        """Put a saved state back and return its step; 0 if there is none.

        A file that cannot be read is put aside, and the training starts over; so it does the next time with one that
        is of another training, for which UserError is raised: the networks are no longer what they were.
        """
        state = self._read()
        if state is None:
            return 0
        try:
            return _put_back(state, objective, meter)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if "CUDA" in str(error) or not self.path.exists():
                raise
            place, reason = put_aside(self.path), " ".join(str(error).split())[:200]
            raise UserError(
                f"the checkpoint {self.path} is of another training ({reason}): put aside as {place}, run it again"
            ) from error

    def _read(self) -> dict[str, Any] | None:
        """The last save, else the state to begin with."""
        if not self.path.exists():
            return self.start
        try:
            return read_state(self.path)
        except Exception as error:  # whatever torch makes of other bytes: it names no errors of its own
            if getattr(error, "errno", None) in TROUBLES:
                raise
            place = put_aside(self.path)
            say(f"warning: the checkpoint {self.path} is damaged ({error}): put aside as {place}, starting over")
            return self.start


def read_state(path: Path) -> dict[str, Any]:
    """What `Checkpoint.save` wrote. Raises KeyError, TypeError, ValueError, or what torch and zipfile do."""
    check_parts(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if missing := sorted(STATE - dict(state).keys()):
        raise KeyError(f"it has no {missing[0]}")
    if operator.index(state["step"]) < 0:
        raise ValueError(f"it is of step {state['step']}")
    return state


def _put_back(state: Mapping[str, Any], objective: Objective, meter: Meter) -> int:
    for phase in objective.phases:
        phase.module.load_state_dict(state["model_state_dict"][phase.name])
        # the state alone: hyperparameters are this run's, the other options its device's
        options = phase.optimizer.state_dict()["param_groups"]
        moments = state["optimizer_state_dict"][phase.name]["state"]
        phase.optimizer.load_state_dict({"state": moments, "param_groups": options})
    objective.load_extra_state(state["objective"])
    device = next(objective.phases[0].module.parameters()).device
    sums, *_, seconds = state["meter"]  # an older trained.pt has a count between them
    meter.sums, meter.began = {name: value.to(device) for name, value in sums.items()}, meter.began - seconds
    meter.history = list(state["losses"])
    torch.set_rng_state(state["random"])
    if state["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random_cuda"])
    return state["step"]


def load_start(path: Path, wanted: Mapping[str, Any], num_steps: int) -> dict[str, Any]:
    """The state in the file `path`, to begin another training with.

    Args:
        wanted: hyperparameters that must be as the file has them.
        num_steps: of the training that begins.

    Raises:
        UserError: the file is missing or no checkpoint, of other hyperparameters, or at `num_steps` or beyond.
    """
    try:
        state = read_state(path)
        found, step = dict(state["hyperparameters"]), int(state["step"])
    except FileNotFoundError:
        raise UserError(f"checkpoint={path} is no file: name a run's {TRAINED}, or set it to null") from None
    except Exception as error:  # whatever torch makes of other bytes: it names no errors of its own
        raise UserError(
            f"checkpoint={path} is no checkpoint of ours ({type(error).__name__}): "
            f"name a run's {TRAINED}, or set it to null"
        ) from None
    for name, value in wanted.items():
        if found.get(name) != value:
            raise UserError(
                f"checkpoint={path} was trained with {name}={found.get(name)}, not {value}: go on with the same {name}"
            )
    if step >= num_steps:
        raise UserError(
            f"checkpoint={path} has {step} steps already, the training ends at {num_steps}: raise the number of steps"
        )
    return state

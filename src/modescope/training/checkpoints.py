"""Checkpoints from which a training goes on bit for bit."""

import os
import time
from pathlib import Path
from typing import Any

import torch

from modescope.files import atomic_path

SECONDS_BETWEEN_SAVES = 30.0


class Checkpoint:
    """One file `checkpoint.pt` in the run's work folder, whose name is the run's key: other parameters or code never meet it.

    Args:
        folder: the work folder.
        seconds: least time between two saves; `$MODESCOPE_CHECKPOINT_SECONDS` wins (it cannot change a result).
    """

    def __init__(self, folder: Path, seconds: float = SECONDS_BETWEEN_SAVES):
        self.path = Path(folder) / "checkpoint.pt"
        self.seconds = float(os.environ.get("MODESCOPE_CHECKPOINT_SECONDS", seconds))
        self._last = time.monotonic()

    def save_if_due(self, objective: Any, step: int, meter: Any) -> None:
        """Save, unless the last save is younger than `seconds`."""
        if time.monotonic() - self._last >= self.seconds:
            self.save(objective, step, meter)
            self._last = time.monotonic()

    def save(self, objective: Any, step: int, meter: Any) -> None:
        """Write weights, optimisers, random states, and the losses summed since the last reading."""
        state = {
            "step": step,
            "phases": {phase.name: [phase.module.state_dict(), phase.optimizer.state_dict()] for phase in objective.phases},
            "extra": objective.extra_state(),
            "meter": [meter.sums, meter.count, meter.seconds],
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with atomic_path(self.path) as temporary:
            torch.save(state, temporary)

    def restore(self, objective: Any, meter: Any) -> int:
        """Put a saved state back and return its step; 0 if nothing was saved."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for phase in objective.phases:
            weights, moments = state["phases"][phase.name]
            phase.module.load_state_dict(weights)
            phase.optimizer.load_state_dict(moments)
        objective.load_extra_state(state["extra"])
        device = next(objective.phases[0].module.parameters()).device
        sums, meter.count, seconds = state["meter"]
        meter.sums, meter.began = {name: value.to(device) for name, value in sums.items()}, meter.began - seconds
        torch.set_rng_state(state["random"])
        if state["random_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random_cuda"])
        return state["step"]

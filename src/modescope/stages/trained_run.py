"""What every training stage does around its training: open the run, train by the one loop, keep the weights, file the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modescope.models.weights import save_weights
from modescope.provenance import work_folder
from modescope.tracking import RunLog
from modescope.training.checkpoints import Checkpoint
from modescope.training.device import autocast
from modescope.training.loop import Training, grid, train


def train_run(info: Mapping[str, Any], training: Training, out: Path, facts: Mapping[str, Any] | None = None, show_start: bool = False) -> None:
    """Train, from the checkpoint of the run's key where there is one, and write the run's folder `out`.

    Args:
        info: of `describe_run`.
        facts: what else run.json should say.
        show_start: keep the preview of step 0, before any training.
    """
    with RunLog(info, work_folder(info)) as log:
        if show_start:
            with autocast(info["device"], info["precision"]):
                for name, images in training.objective.preview().items():
                    log.image(name, grid(images), step=0)
        timing = train(training, log=log, checkpoint=Checkpoint(log.folder), precision=info["precision"])
        save_weights(training.objective.weights(), log.folder)
        log.finish(out, **timing.summary(), **(facts or {}))

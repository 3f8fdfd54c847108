"""What every training stage does around its training: describe the run, train, keep the weights, file the run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from modescope.config import Params
from modescope.data.prepared import load_prepared
from modescope.data.splits import Split
from modescope.mlflow.filing import push
from modescope.models.weights import save_weights
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.training.checkpoints import Checkpoint
from modescope.training.device import arithmetic, usable_precision
from modescope.training.loop import log_preview, train
from modescope.training.objective import Training


class TrainingData(NamedTuple):
    """A split's images (N, C, H, W) uint8 and labels (N,) int64, on one device, and how `describe_run` has them."""

    images: Tensor
    labels: Tensor
    described: dict[str, Any]
    files: dict[str, Path]

    @property
    def num_classes(self) -> int:
        return len(self.described["classes"])

    @property
    def split(self) -> str:
        return self.described["split"]


def load_training_data(data: Path, split: Path, device: torch.device) -> TrainingData:
    """The images of the prepared folder `data` that the file `split` names.

    Raises UserError for missing or unmatched files.
    """
    files = {"train": data / "train.safetensors", "split": split}
    train_set, chosen = load_prepared(files["train"]), Split.load(split)
    images, labels = (tensor.to(device) for tensor in chosen.select(train_set))
    described = {"name": train_set.name, "classes": list(train_set.classes), "split": chosen.name}
    return TrainingData(images, labels, described, files)


def describe_training(
    stage: str,
    study: str,
    run: str,
    model: str,
    settings: Mapping[str, Any],
    params: Params,
    given: TrainingData,
    **inputs: Path,
) -> dict[str, Any]:
    """`describe_run` of a training run on `given`, in the arithmetic that `params` asks for.

    Args:
        stage: name of the stage's module.
        settings: the parameters that it reads besides.
        inputs: the files that it reads besides, by role.
    """
    return describe_run(
        module=f"modescope.stages.{stage}",
        study=study,
        run=run,
        model=model,
        params={**params.subset("threads", "precision", "deterministic"), **settings},
        inputs={**given.files, **inputs},
        data=given.described,
        hardware=hardware(given.images.device, params),
    )


def hardware(device: torch.device, params: Params) -> dict[str, Any]:
    """Device and arithmetic in use, as `describe_run` takes them."""
    return {
        "device": device.type,
        "precision": usable_precision(params.precision, device.type),
        "deterministic": params.deterministic,
    }


def train_run(
    info: Mapping[str, Any],
    training: Training,
    out: Path,
    facts: Callable[[], Mapping[str, Any]] = dict,
    show_start: bool = False,
    start: dict[str, Any] | None = None,
    keep_checkpoint: bool = False,
) -> None:
    """Train, from the checkpoint of the run's key where there is one, and write the run's folder `out`.

    Args:
        info: of `describe_run`.
        facts: gives what else run.json should say, once the training is done.
        show_start: keep the preview of step 0, before any training.
        start: another training's checkpoint to begin with.
        keep_checkpoint: keep the last state, with the optimisers', as `out`/trained.pt.
    """
    settings = arithmetic(info["device"], info["precision"], info["deterministic"])
    with RunLog(info, work_folder(info), push) as log, settings:
        if show_start:
            log_preview(training, log, 0, info["precision"])
        checkpoint = Checkpoint(log.folder, hyperparameters=info["params"], start=start, keep=keep_checkpoint)
        timing = train(training, log=log, checkpoint=checkpoint, precision=info["precision"])
        save_weights(training.objective.weights(), log.folder)
        log.finish(out, **timing.summary(), **facts())

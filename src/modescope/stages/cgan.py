"""Stage `cgan`: train a GAN with labels or without under one of the losses (study 3)."""

from pathlib import Path
from typing import Any

from modescope.config import CganConfig, load_params
from modescope.files import read_json, root
from modescope.process import run_stage
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.cgan import cgan_training
from modescope.training.checkpoints import load_start
from modescope.training.device import training_device


def main(settings: Path, data: Path, split: Path, out: Path) -> None:
    """Train the networks that SETTINGS describe on the images of DATA that SPLIT names; write the run's folder OUT."""
    named, params = read_json(settings, seed=int), load_params()
    config = CganConfig.of(named)
    start, inputs = load_checkpoint(config)
    given = load_training_data(data, split, training_device())
    info = describe_training("cgan", "cgan", settings.stem, "cgan", named, params, given, **inputs)
    training = cgan_training(config, given.images, given.labels, given.num_classes, named["seed"])
    train_run(info, training, out, start=start, keep_checkpoint=True)


def load_checkpoint(config: CganConfig) -> tuple[dict[str, Any] | None, dict[str, Path]]:
    """The state that `config.checkpoint` names and its file, by role; None and nothing where it names none.

    Raises UserError if it is of other settings; of several differences the first is named, mode and loss first.
    """
    if config.checkpoint is None:
        return None, {}
    path = root() / config.checkpoint
    kept = {"mode": config.mode, "loss": config.loss, **config.model_dump(exclude={"generator_steps", "checkpoint"})}
    return load_start(path, kept, config.generator_steps), {"checkpoint": path}


if __name__ == "__main__":
    run_stage(main)

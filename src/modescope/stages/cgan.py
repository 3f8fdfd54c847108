"""Stage `cgan`: train a GAN with labels or without under one of the losses (study 3)."""

from pathlib import Path
from typing import Any

from modescope.config import CganConfig, load_params
from modescope.errors import UserError
from modescope.files import root
from modescope.process import run_stage
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.cgan import cgan_training
from modescope.training.checkpoints import load_start
from modescope.training.device import training_device


def main(row: str, data: Path, split: Path, out: Path, seed: int | None = None) -> None:
    """Train ROW (cgan-bce, a name of cgan.ours, ...) on the images of DATA that SPLIT names; write its folder OUT.

    With --seed it is a run of its own, in place of the one with params.yaml's seed.
    """
    params = load_params()
    if row not in params.cgan.rows:
        raise UserError(f"unknown row `{row}`: there are {', '.join(params.cgan.rows)}")
    config, used = params.cgan.config(row), params.seed if seed is None else seed
    start, inputs = load_checkpoint(config)
    given = load_training_data(data, split, training_device())
    settings = {"seed": used, **config.model_dump()}
    info = describe_training("cgan", "cgan", params.run_name(row, seed), "cgan", settings, params, given, **inputs)
    training = cgan_training(config, given.images, given.labels, given.num_classes, used)
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

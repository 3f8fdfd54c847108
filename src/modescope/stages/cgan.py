"""Stage `cgan`: train a GAN with labels or without under one of the losses (study 3)."""

from pathlib import Path

from modescope.config import load_params
from modescope.errors import UserError
from modescope.files import root
from modescope.process import run_stage
from modescope.runs.key import describe_run
from modescope.stages.trained_run import hardware, load_training_data, train_run
from modescope.training.cgan import cgan_training
from modescope.training.checkpoints import load_start
from modescope.training.device import training_device


def main(row: str, data: Path, split: Path, out: Path, seed: int | None = None) -> None:
    """Train ROW (cgan-bce, dcgan-hinge, a name of cgan.ours, ...) on the images of DATA that SPLIT names, again with
    --seed; write the run's folder OUT.
    """
    params, device = load_params(), training_device()
    used = params.seed if seed is None else seed
    if row not in params.cgan.rows:
        raise UserError(f"unknown row `{row}`: there are {', '.join(params.cgan.rows)}")
    config = params.cgan.config(row)
    start = None if config.checkpoint is None else root() / config.checkpoint
    # All that a checkpoint must agree in; of several differences the first is named.
    kept = {"mode": config.mode, "loss": config.loss, **config.model_dump(exclude={"generator_steps", "checkpoint"})}
    state = None if start is None else load_start(start, kept, config.generator_steps)
    given = load_training_data(data, split, device)
    info = describe_run(
        module="modescope.stages.cgan",
        study="cgan",
        run=params.run_name(row, seed),
        model="cgan",
        params={"seed": used, **params.subset("precision", "deterministic"), **config.model_dump()},
        inputs=given.files if start is None else {**given.files, "checkpoint": start},
        data=given.described,
        hardware=hardware(device, params),
    )
    training = cgan_training(config, given.images, given.labels, given.num_classes, used)
    train_run(info, training, out, start=state, keep_checkpoint=True)


if __name__ == "__main__":
    run_stage(main)

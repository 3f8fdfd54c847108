"""Stage `imbalance`: train a GAN or a VAE on a split (study 1)."""

from pathlib import Path
from pkgutil import resolve_name

from modescope.config import load_params
from modescope.process import run_stage
from modescope.runs.code import TRAININGS
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.device import training_device

MODULE = "modescope.stages.imbalance"


def main(model: str, data: Path, split: Path, out: Path, seed: int | None = None) -> None:
    """Train MODEL (gan, gan-ours or vae) on the images of DATA that SPLIT names; write the run's folder OUT.

    With --seed it is a run of its own, in place of the one with params.yaml's seed.
    """
    params, given = load_params(), load_training_data(data, split, training_device())
    used, run = params.seed if seed is None else seed, params.run_name(f"{model}-{given.split}", seed)
    settings = {"seed": used, **params.subset(f"imbalance.{model}")}
    info = describe_training("imbalance", "imbalance", run, model, settings, params, given)
    make_training = resolve_name(TRAININGS[MODULE][model])
    train_run(info, make_training(params.imbalance.of_model(model), given.images, given.labels, used), out)


if __name__ == "__main__":
    run_stage(main)

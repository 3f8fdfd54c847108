"""Stage `imbalance`: train a GAN or a VAE on a split (study 1)."""

from pathlib import Path
from pkgutil import resolve_name

from modescope.config import load_params
from modescope.process import run_stage
from modescope.runs.code import TRAININGS
from modescope.runs.key import describe_run
from modescope.stages.trained_run import hardware, load_training_data, train_run
from modescope.training.device import training_device

MODULE = "modescope.stages.imbalance"


def main(model: str, data: Path, split: Path, out: Path, seed: int | None = None) -> None:
    """Train MODEL (gan, gan-ours or vae) on the images of DATA that SPLIT names, --seed or the one of params.yaml;
    write the run's folder OUT.
    """
    params, device = load_params(), training_device()
    used = params.seed if seed is None else seed
    given = load_training_data(data, split, device)
    info = describe_run(
        module=MODULE,
        study="imbalance",
        run=params.run_name(f"{model}-{given.described['split']}", seed),
        model=model,
        params={"seed": used, **params.subset("precision", "deterministic", f"imbalance.{model}")},
        inputs=given.files,
        data=given.described,
        hardware=hardware(device, params),
    )
    make_training = resolve_name(TRAININGS[MODULE][model])
    train_run(info, make_training(params.imbalance.of_model(model), given.images, given.labels, used), out)


if __name__ == "__main__":
    run_stage(main)

"""Stage `imbalance`: train a GAN or a VAE on a split (study 1)."""

from pathlib import Path

from modescope.config import load_params
from modescope.data.prepared import load_prepared
from modescope.data.splits import Split
from modescope.process import run_stage
from modescope.provenance import describe_run
from modescope.stages.trained_run import train_run
from modescope.training.device import training_device, usable_precision
from modescope.training.gan import gan_training
from modescope.training.vae import vae_training

TRAININGS = {"gan": gan_training, "vae": vae_training}


def main(model: str, data: Path, split: Path, out: Path) -> None:
    """Train MODEL (gan or vae) on the images of DATA that SPLIT names; write the run's folder OUT."""
    params, device = load_params(), training_device()
    train_set, chosen = load_prepared(data / "train.safetensors"), Split.load(split)
    images, labels = (tensor.to(device) for tensor in chosen.select(train_set))
    info = describe_run(
        module="modescope.stages.imbalance",
        study="imbalance",
        run=f"{model}-{chosen.name}",
        model=model,
        params=params.subset("seed", "precision", f"imbalance.{model}"),
        inputs={"train": data / "train.safetensors", "split": split},
        data={"name": train_set.name, "classes": list(train_set.classes), "split": chosen.name},
        hardware={"device": device.type, "precision": usable_precision(params.precision, device.type)},
    )
    train_run(info, TRAININGS[model](getattr(params.imbalance, model), images, labels, params.seed), out)


if __name__ == "__main__":
    run_stage(main)

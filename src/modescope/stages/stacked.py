"""Stage `stacked`: train study 3's GAN without labels on stacked digits, 1,000 modes."""

from pathlib import Path

from modescope.config import load_params
from modescope.data.stacked import stack_digits
from modescope.errors import UserError
from modescope.process import run_stage
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.cgan import cgan_training
from modescope.training.device import training_device


def main(loss: str, data: Path, split: Path, out: Path) -> None:
    """Train with LOSS on digits of DATA that SPLIT names, stacked by threes; write the run's folder OUT."""
    params = load_params()
    if loss not in params.stacked.losses:
        raise UserError(f"unknown loss `{loss}`: stacked.losses has {', '.join(params.stacked.losses)}")
    config, count = params.stacked_config(loss), params.stacked.num_images
    given = load_training_data(data, split, training_device())
    settings = {"seed": params.seed, "num_images": count, **config.model_dump()}
    info = describe_training("stacked", "cgan", f"stacked-{loss}", "stacked", settings, params, given)
    images, modes = stack_digits(given.images, given.labels, count, params.seed, given.num_classes)
    train_run(info, cgan_training(config, images, modes, given.num_classes**3, params.seed), out)


if __name__ == "__main__":
    run_stage(main)

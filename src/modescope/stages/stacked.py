"""Stage `stacked`: train study 3's GAN without labels on stacked digits, 1,000 modes."""

from pathlib import Path

from modescope.config import CganConfig, load_params
from modescope.data.stacked import stack_digits
from modescope.files import read_json
from modescope.process import run_stage
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.cgan import cgan_training
from modescope.training.device import training_device


def main(settings: Path, data: Path, split: Path, out: Path) -> None:
    """Train what SETTINGS describe on digits of DATA that SPLIT names, stacked by threes; write the folder OUT."""
    named, params = read_json(settings, seed=int, num_images=int), load_params()
    given, seed = load_training_data(data, split, training_device()), named["seed"]
    info = describe_training("stacked", "cgan", settings.stem, "stacked", named, params, given)
    images, modes = stack_digits(given.images, given.labels, named["num_images"], seed, given.num_classes)
    train_run(info, cgan_training(CganConfig.of(named), images, modes, given.num_classes**3, seed), out)


if __name__ == "__main__":
    run_stage(main)

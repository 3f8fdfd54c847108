"""Stage `stage1`: adversarial training on a prior, before any guidance (study 2)."""

from pathlib import Path

from modescope.config import Stage1Config, load_params
from modescope.files import read_json, root
from modescope.process import run_stage
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.device import training_device
from modescope.training.two_stage import load_stage1, new_stage1, stage1_training


def main(settings: Path, data: Path, split: Path, out: Path) -> None:
    """Train the networks that SETTINGS describe on the images of DATA that SPLIT names; write the run's folder OUT."""
    named, params = read_json(settings), load_params()
    config = Stage1Config.of(named)
    given = load_training_data(data, split, training_device())
    info = describe_training("stage1", "two-stage", settings.stem, "stage1", named, params, given)
    checkpoint, channels = config.stage1_checkpoint, given.images.shape[1]
    if checkpoint is None:
        start = new_stage1(config, channels, given.num_classes)
    else:
        start = load_stage1(root() / checkpoint, config, channels)
    train_run(info, stage1_training(config, start, given[:2]), out, show_start=checkpoint is not None)


if __name__ == "__main__":
    run_stage(main)

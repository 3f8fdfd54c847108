"""Stage `stage1`: adversarial training of the DCGAN on a prior (study 2)."""

from pathlib import Path

from modescope.config import Stage1Config, load_params
from modescope.files import read_json, root
from modescope.process import run_stage
from modescope.runs.key import describe_run
from modescope.stages.trained_run import hardware, load_training_data, train_run
from modescope.training.device import training_device
from modescope.training.two_stage import load_stage1, new_stage1, stage1_training


def main(settings: Path, data: Path, split: Path, out: Path) -> None:
    """Train the networks that SETTINGS describe on the images of DATA that SPLIT names; write the run's folder OUT."""
    named, device, params = read_json(settings), training_device(), load_params()
    config = Stage1Config(**{name: named[name] for name in Stage1Config.model_fields})
    given = load_training_data(data, split, device)
    info = describe_run(
        module="modescope.stages.stage1",
        study="two-stage",
        run=settings.stem,
        model="stage1",
        params={**params.subset("precision", "deterministic"), **named},
        inputs=given.files,
        data=given.described,
        hardware=hardware(device, params),
    )
    checkpoint, channels = config.stage1_checkpoint, given.images.shape[1]
    start = (
        new_stage1(config, channels, given.num_classes)
        if checkpoint is None
        else load_stage1(root() / checkpoint, config, channels)
    )
    train_run(info, stage1_training(config, start, given[:2]), out, show_start=checkpoint is not None)


if __name__ == "__main__":
    run_stage(main)

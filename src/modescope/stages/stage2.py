"""Stage `stage2`: go on from a stage 1 with the guidance of a frozen classifier (study 2, architectures A to D)."""

from pathlib import Path

from modescope.config import GANConfig, load_params
from modescope.errors import UserError
from modescope.files import read_json
from modescope.process import run_stage
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE
from modescope.stages.trained_run import describe_training, load_training_data, train_run
from modescope.training.device import training_device
from modescope.training.guidance import ClassGuidance, load_guide
from modescope.training.two_stage import adapted_generator, load_stage1, stage2_training


def main(settings: Path, stage1: Path, guide: Path, data: Path, split: Path, out: Path) -> None:
    """Train what SETTINGS describe from the run STAGE1, guided by GUIDE, on the images of DATA that SPLIT names.

    The run's folder is OUT.
    """
    named, params, device = read_json(settings), load_params(), training_device()
    config = GANConfig.of(named)
    refuse_other_prior(stage1, config)
    given = load_training_data(data, split, device)
    files = {"stage1": stage1 / WEIGHTS_FILE, "guide": guide / WEIGHTS_FILE}
    info = describe_training("stage2", "two-stage", settings.stem, "stage2", named, params, given, **files)
    start = load_stage1(files["stage1"], config, given.images.shape[1])
    generator, facts = adapted_generator(config, start, given.images)
    guidance = ClassGuidance(load_guide(guide, given.described["name"], device), config.ce_loss_weight)
    training = stage2_training(config, start._replace(generator=generator), guidance, given[:2])
    train_run(info, training, out, lambda: {**facts, "architecture": config.architecture}, show_start=True)


def refuse_other_prior(stage1: Path, config: GANConfig) -> None:
    """Raises UserError if the run STAGE1 was trained on another prior than `config` names."""
    found = read_json(stage1 / RUN_FILE)["params"].get("prior")
    if found != config.prior:
        raise UserError(
            f"{stage1} was trained on the prior {found}, the settings say {config.prior}: "
            "name the stage 1 of that prior"
        )


if __name__ == "__main__":
    run_stage(main)

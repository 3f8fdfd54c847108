"""Stage `stage2`: go on from a stage 1 with the guidance of a frozen classifier (study 2, architectures A to D)."""

from pathlib import Path

from modescope.config import GANConfig, load_params
from modescope.errors import UserError
from modescope.files import read_json
from modescope.models.weights import WEIGHTS
from modescope.process import run_stage
from modescope.runs.key import describe_run
from modescope.stages.trained_run import hardware, load_training_data, train_run
from modescope.training.device import training_device
from modescope.training.guidance import ClassGuidance, load_guide
from modescope.training.two_stage import adapted_generator, load_stage1, stage2_training


def main(settings: Path, stage1: Path, guide: Path, data: Path, split: Path, out: Path) -> None:
    """Train what SETTINGS describe from the run STAGE1, guided by GUIDE, on the images of DATA that SPLIT names; write
    the run's folder OUT.
    """
    named, device, params = read_json(settings), training_device(), load_params()
    config = GANConfig(**{name: named[name] for name in GANConfig.model_fields})
    refuse_other_prior(stage1, config)
    given = load_training_data(data, split, device)
    info = describe_run(
        module="modescope.stages.stage2",
        study="two-stage",
        run=settings.stem,
        model="stage2",
        params={**params.subset("precision", "deterministic"), **named},
        inputs={**given.files, "stage1": stage1 / WEIGHTS, "guide": guide / WEIGHTS},
        data=given.described,
        hardware=hardware(device, params),
    )
    start = load_stage1(stage1 / WEIGHTS, config, given.images.shape[1])
    generator, facts = adapted_generator(config, start, given.images)
    guidance = ClassGuidance(load_guide(guide, given.described["name"], device), config.ce_loss_weight)
    training = stage2_training(config, start._replace(generator=generator), guidance, given[:2])
    train_run(info, training, out, lambda: {**facts, "architecture": config.architecture}, show_start=True)


def refuse_other_prior(stage1: Path, config: GANConfig) -> None:
    """Raises UserError if the run STAGE1 was trained on another prior than `config` names."""
    found = read_json(stage1 / "run.json")["params"].get("prior")
    if found != config.prior:
        raise UserError(
            f"{stage1} was trained on the prior {found}, the settings say {config.prior}: name the stage 1 of that prior"
        )


if __name__ == "__main__":
    run_stage(main)

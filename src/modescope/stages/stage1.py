"""Stage `stage1`: adversarial training of the DCGAN on a prior (study 2)."""

from pathlib import Path

from modescope.config import Stage1Config, load_params
from modescope.data.prepared import load_prepared
from modescope.data.splits import Split
from modescope.files import read_json, root
from modescope.process import run_stage
from modescope.provenance import describe_run
from modescope.stages.trained_run import train_run
from modescope.training.device import training_device, usable_precision
from modescope.training.two_stage import load_stage1, new_stage1, stage1_training


def main(settings: Path, data: Path, split: Path, out: Path) -> None:
    """Train the networks that SETTINGS describe on the images of DATA that SPLIT names; write the run's folder OUT."""
    named, device, precision = read_json(settings), training_device(), load_params().precision
    config = Stage1Config(**{name: named[name] for name in Stage1Config.model_fields})
    train_set, chosen = load_prepared(data / "train.safetensors"), Split.load(split)
    images, labels = (tensor.to(device) for tensor in chosen.select(train_set))
    info = describe_run(
        module="modescope.stages.stage1",
        study="two-stage",
        run=settings.stem,
        model="stage1",
        params={"precision": precision, **named},
        inputs={"train": data / "train.safetensors", "split": split},
        data={"name": train_set.name, "classes": list(train_set.classes), "split": chosen.name},
        hardware={"device": device.type, "precision": usable_precision(precision, device.type)},
    )
    given, channels = config.stage1_checkpoint, images.shape[1]
    start = new_stage1(config, channels, len(train_set.classes)) if given is None else load_stage1(root() / given, config, channels)
    train_run(info, stage1_training(config, start, (images, labels)), out, show_start=given is not None)


if __name__ == "__main__":
    run_stage(main)

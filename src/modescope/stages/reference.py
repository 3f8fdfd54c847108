"""Stage `reference`: what a split's real images look like to the extractors, and the floor that real test images set."""

import time
from pathlib import Path

from modescope.config import load_params
from modescope.data.prepared import load_prepared
from modescope.data.splits import Split
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.floor import floor_images
from modescope.evaluation.reference import build_reference, save_reference
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.models.weights import WEIGHTS
from modescope.process import run_stage
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.training.device import training_device


def main(
    split: str, data: Path, split_file: Path, judge: Path, out: Path, metrics: Path, per_class: int | None = None
) -> None:
    """Write the reference set of SPLIT (drawn from DATA by SPLIT_FILE, seen by JUDGE) to OUT, the floor's scores to
    METRICS, STUDY/RUN.json.

    With --per-class N the floor is measured class by class, too, on N images of each.
    """
    settings, device, began = load_params().evaluation, training_device(), time.perf_counter()
    files = {"train": data / "train.safetensors", "test": data / "test.safetensors", "split": split_file}
    train, test, chosen = load_prepared(files["train"]), load_prepared(files["test"]), load_split(split_file, split)
    extractors = load_extractors(settings.extractors, judge, device)
    info = describe_run(
        module="modescope.stages.reference",
        study=metrics.parent.name,
        run=metrics.stem,
        model="real",
        params={"evaluation": settings.model_dump()},
        inputs=files | {"judge": judge / WEIGHTS},
        data={"name": train.name, "classes": list(train.classes), "split": split},
        hardware={"device": device.type, "precision": "fp32"},
    )
    with RunLog(info, work_folder(info), push) as log:
        basis, num_classes = chosen.measured_against(train), len(train.classes)
        training_counts = None if chosen.rho is None else class_counts(chosen.select(train)[1], num_classes)
        reference = build_reference(split, *basis.select(train), num_classes, extractors, settings, training_counts)
        save_reference(reference, log.folder)
        floor = floor_images(test, basis, settings.num_samples, settings.seed)
        measured = evaluate_images(
            floor.images, reference, extractors, settings, floor.labels if per_class else None, per_class
        )
        log.finish(out, seconds=time.perf_counter() - began)
    write_json(metrics, measured)
    push(out, measured)


def load_split(path: Path, name: str) -> Split:
    """The split that `path` holds. Raises UserError if it is another than `name`."""
    split = Split.load(path)
    if split.name != name:
        raise UserError(f"{path} holds the split {split.name}, not {name}: name its own file")
    return split


if __name__ == "__main__":
    run_stage(main)

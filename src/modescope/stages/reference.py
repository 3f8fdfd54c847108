"""Stage `reference`: a split's real images as the extractors see them, and the floor that real test images set."""

import time
from collections.abc import Sequence
from pathlib import Path

from modescope.config import Evaluation, load_params
from modescope.data.prepared import Dataset, load_prepared
from modescope.data.splits import Split
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.features import Extractor
from modescope.evaluation.floor import floor_images
from modescope.evaluation.reference import Reference, build_reference, save_reference
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.process import run_stage
from modescope.runs.folder import WEIGHTS_FILE
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.training.device import training_device


def main(
    split: str, data: Path, split_file: Path, judge: Path, out: Path, metrics: Path, per_class: int | None = None
) -> None:
    """Write the reference set of SPLIT, drawn from DATA by SPLIT_FILE, to OUT, and the floor's scores to METRICS.

    JUDGE sees both; METRICS is STUDY/RUN.json. With --per-class N the floor is measured on N images of each class, too.
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
        params=load_params().subset("threads", "evaluation"),
        inputs=files | {"judge": judge / WEIGHTS_FILE},
        data={"name": train.name, "classes": list(train.classes), "split": split},
        hardware={"device": device.type, "precision": "fp32"},
    )
    with RunLog(info, work_folder(info), push) as log:
        reference = reference_of(chosen, train, extractors, settings)
        save_reference(reference, log.folder)
        floor = floor_images(test, chosen.measured_against(train), settings.num_samples, settings.seed)
        labels = floor.labels if per_class else None
        measured = evaluate_images(floor.images, reference, extractors, settings, labels, per_class)
        log.finish(out, seconds=time.perf_counter() - began)
    write_json(metrics, measured)
    push(out, measured)


def reference_of(split: Split, train: Dataset, extractors: Sequence[Extractor], settings: Evaluation) -> Reference:
    """What the models of `split` are measured against."""
    images, labels = split.measured_against(train).select(train)
    num_classes = len(train.classes)
    training_counts = None if split.rho is None else class_counts(split.select(train)[1], num_classes)
    return build_reference(split.name, images, labels, num_classes, extractors, settings, training_counts)


def load_split(path: Path, name: str) -> Split:
    """The split that `path` holds. Raises UserError if it is another than `name`."""
    split = Split.load(path)
    if split.name != name:
        raise UserError(f"{path} holds the split {split.name}, not {name}: name its own file")
    return split


if __name__ == "__main__":
    run_stage(main)

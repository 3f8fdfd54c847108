"""Stage `classifier`: train a guide or a judge, calibrate it, and measure it on real test images."""

from pathlib import Path

from torch import Tensor

from modescope.config import Classifier as Settings
from modescope.config import Params, load_params
from modescope.data.prepared import Dataset, load_prepared
from modescope.errors import UserError
from modescope.evaluation.calibration import classification_scores, fit_temperature, predict
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.models.classifiers import Classifier
from modescope.models.weights import save_weights
from modescope.process import run_stage
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.stages.trained_run import hardware
from modescope.training.airbench import package_trains, train_with_package
from modescope.training.checkpoints import Checkpoint
from modescope.training.classifier import classifier_training, hold_out, new_classifier
from modescope.training.device import arithmetic, training_device
from modescope.training.loop import Timing, train


def main(name: str, data: Path, out: Path, metrics: Path) -> None:
    """Train the classifier NAME of params.yaml on DATA's train images; write its folder OUT, its scores to METRICS."""
    params, device = load_params(), training_device()
    settings, files = choose(params, name), {split: data / f"{split}.safetensors" for split in ("train", "test")}
    train_set, test_set = load_prepared(files["train"]), load_prepared(files["test"])
    classifier = new_classifier(settings, train_set, device)
    info = describe_run(
        module="modescope.stages.classifier",
        study="classifiers",
        run=name,
        model=settings.network,
        params=params.subset("threads", "precision", "deterministic", f"classifiers.{name}"),
        inputs=files,
        data={"name": train_set.name, "classes": list(train_set.classes), "split": None},
        hardware=hardware(device, params),
    )
    trained_on, held_out = hold_out(train_set, settings, device)
    with RunLog(info, work_folder(info), push) as log, arithmetic(device.type, params.precision, params.deterministic):
        timing = fit(classifier, settings, *trained_on, log, params.precision)
        scores = calibrate(classifier, *held_out, test_set) | {"seconds": timing.seconds}
        save_weights(classifier.state_dict(), log.folder)
        log.finish(out, **timing.summary())
    write_json(metrics, scores)
    push(out, scores)


def choose(params: Params, name: str) -> Settings:
    """The section of the classifier `name`. Raises UserError that lists the names there are."""
    if name not in params.classifiers:
        raise UserError(f"params.yaml has no classifier `{name}`: there are {', '.join(params.classifiers)}")
    return params.classifiers[name]


def fit(
    classifier: Classifier, settings: Settings, images: Tensor, labels: Tensor, log: RunLog, precision: str
) -> Timing:
    """Train by the one loop; airbench96 of ten classes on CUDA by its own package."""
    if settings.network == "airbench96" and images.is_cuda and package_trains(classifier):
        return train_with_package(classifier, settings, images, labels)
    training = classifier_training(classifier, settings, images, labels)
    return train(training, log=log, checkpoint=Checkpoint(log.folder), precision=precision)


def calibrate(classifier: Classifier, images: Tensor, labels: Tensor, test_set: Dataset) -> dict:
    """Set the temperature on held-out training images; return the scores on the test set."""
    temperature = fit_temperature(predict(classifier, images), labels)
    scores = classification_scores(predict(classifier, test_set.images), test_set.labels.to(labels.device), temperature)
    classifier.temperature.fill_(temperature)
    return scores


if __name__ == "__main__":
    run_stage(main)

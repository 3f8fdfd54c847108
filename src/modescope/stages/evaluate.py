"""Stage `evaluate`: measure a trained run's samples against its split's reference set."""

from pathlib import Path

from modescope.config import load_params
from modescope.errors import UserError
from modescope.evaluation.calibration import predict
from modescope.evaluation.consistency import class_consistency, confusion
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.normality import flat
from modescope.evaluation.reference import load_reference
from modescope.evaluation.samplers import load_sampler
from modescope.files import read_json, write_json
from modescope.models.classifiers import load_classifier
from modescope.process import run_stage
from modescope.tracking import push
from modescope.training.device import training_device


def main(run: Path, reference: Path, judge: Path, metrics: Path, guide: Path | None = None) -> None:
    """Sample RUN, measure the samples against REFERENCE as JUDGE (and its --guide) see them, write METRICS and complete the run's record."""
    settings = load_params().evaluation
    info = read_json(run / "run.json")
    extractors = load_extractors(settings.extractors, judge, training_device())
    real = load_reference(reference, extractors)
    if info["data"]["split"] != real.split:
        raise UserError(f"{run} was trained on {info['data']['split']}, {reference} holds {real.split}: name that split's reference")
    drawn = load_sampler(run, training_device()).sample(settings.num_samples, settings.seed)
    measured = evaluate_images(drawn.images, real, extractors, settings, drawn.labels)
    measured |= {name: info[name] for name in ("seconds", "steps_per_second") if name in info} | flat(info.get("normality", {}))
    if guide is not None:
        measured["guide_consistency"] = class_consistency(confusion(predict(load_classifier(guide, training_device()), drawn.images), drawn.labels))["class_consistency"]
    write_json(metrics, measured)
    push(run, measured)


if __name__ == "__main__":
    run_stage(main)

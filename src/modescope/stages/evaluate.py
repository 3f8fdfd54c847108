"""Stage `evaluate`: measure a trained run's samples against its split's reference set."""

from pathlib import Path

from modescope.config import load_params
from modescope.errors import UserError
from modescope.evaluation.calibration import predict
from modescope.evaluation.consistency import class_consistency, confusion
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.fixed_z import distinct_classes
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.normality import flat
from modescope.evaluation.reference import load_reference
from modescope.files import read_json, write_json
from modescope.mlflow.filing import push
from modescope.models.classifiers import load_classifier
from modescope.process import run_stage
from modescope.runs.folder import RUN_FILE
from modescope.training.device import training_device
from modescope.training.priors import FIXED_LATENTS


def main(
    run: Path, reference: Path, judge: Path, metrics: Path, guide: Path | None = None, per_class: int | None = None
) -> None:
    """Sample RUN, measure the samples against REFERENCE as JUDGE (and its --guide) see them, write METRICS.

    The run's record is completed. With --per-class N a run with labels is measured class by class, too, on N images of
    each, and with fixed latent vectors.
    """
    settings, device, info = load_params().evaluation, training_device(), read_json(run / RUN_FILE)
    extractors = load_extractors(settings.extractors, judge, device)
    real = load_reference(reference, extractors)
    if info["data"]["split"] != real.split:
        trained = f"{run} was trained on {info['data']['split']}"
        raise UserError(f"{trained}, {reference} holds {real.split}: name that split's reference")
    sampler = load_sampler(run, device)
    drawn = sampler.sample(settings.num_samples, settings.seed)
    measured = evaluate_images(drawn.images, real, extractors, settings, drawn.labels, per_class)
    if per_class and drawn.labels is not None:
        seen_by = next(extractor for extractor in extractors if extractor.name == "judge")
        measured["fixed_z_classes"] = distinct_classes(sampler, seen_by, sampler.num_classes, FIXED_LATENTS, seed=0)
    measured |= {name: info[name] for name in ("seconds", "steps_per_second") if name in info}
    measured |= flat(info.get("normality", {}))
    if guide is not None:
        logits = predict(load_classifier(guide, device), drawn.images)
        measured["guide_consistency"] = class_consistency(confusion(logits, drawn.labels))["class_consistency"]
    write_json(metrics, measured)
    push(run, measured)


if __name__ == "__main__":
    run_stage(main)

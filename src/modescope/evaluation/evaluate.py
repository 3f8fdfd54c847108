"""Every metric of a set of images against a reference, for samplers and real images alike."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from modescope.config import Evaluation
from modescope.data.order import random_order
from modescope.evaluation import class_share
from modescope.evaluation.consistency import class_consistency, confusion
from modescope.evaluation.diversity import class_diversity
from modescope.evaluation.features import Extractor, Features, extract_features
from modescope.evaluation.frechet import frechet_distance, rank_warnings
from modescope.evaluation.inception_score import inception_score
from modescope.evaluation.kernel import kernel_distance
from modescope.evaluation.prdc import Neighbours, find_neighbours
from modescope.evaluation.reference import Reference, ReferenceFeatures
from modescope.evaluation.tail import tail_metrics

Metrics = dict[str, Any]


def evaluate_images(
    images: Tensor,
    reference: Reference,
    extractors: Sequence[Extractor],
    settings: Evaluation,
    labels: Tensor | None = None,
    per_class: int | None = None,
) -> Metrics:
    """Measure `images` against `reference`.

    Args:
        images: (N, C, H, W) uint8.
        extractors: the judge, with or without Inception; each sees every image once.
        labels: (N,) int64, the classes that the images are meant to be of, or None where none is meant.
        per_class: with labels, how many images of each class are measured class by class; None for no class diversity.

    Returns:
        fid*, kid*_mean, kid*_std, is*_mean, is*_std with each extractor's suffix; precision, recall, density, coverage
        (judge's features); class_share, reference_share (K,), class_share_kl (nats), class_share_tv; with labels
        class_consistency, class_consistency_per_class (K,) and confusion (K, K); with `per_class`, too, pixel_std,
        ms_ssim, recall_per_class and coverage_per_class (K,), the last two of the judge's features; for a long-tailed
        split what `tail_metrics` gives; num_samples, num_reference; and `warnings`, a list of lines that belong under a
        table, only if there are any.

    Raises:
        UserError: too few images for a metric, or too small ones.
    """
    metrics: Metrics = {"num_samples": len(images), "num_reference": reference.num_images}
    warnings: list[str] = []
    for extractor in extractors:
        seen, real = extract_features(images, extractor), reference.features[extractor.name]
        metrics |= _distribution_metrics(seen, real, extractor.suffix, settings)
        warnings += rank_warnings(f"fid{extractor.suffix}", real.sums, len(images))
        if extractor.name == "judge":
            near = _neighbours(seen, real, settings)
            metrics |= vars(near.scores(settings.neighbours)) | _class_metrics(seen, reference)
            if reference.training_counts is not None:
                metrics |= tail_metrics(
                    seen, labels, real.sample, reference.sample_labels, near, reference.training_counts, settings.seed
                )
            metrics |= {} if labels is None else class_consistency(confusion(seen.logits, labels))
            if labels is not None and per_class is not None:
                metrics |= class_diversity(
                    images, labels, seen.features, real.sample, reference.sample_labels, per_class, settings.neighbours
                )
            warnings += _unequal_sizes(len(images), len(real.sample), settings.prdc_samples)
    return metrics | ({"warnings": warnings} if warnings else {})


def _distribution_metrics(seen: Features, real: ReferenceFeatures, suffix: str, settings: Evaluation) -> Metrics:
    kid_mean, kid_std = kernel_distance(
        real.sample, seen.features, settings.kid_subsets, settings.kid_subset_size, settings.seed
    )
    is_mean, is_std = inception_score(seen.logits, settings.is_splits, settings.seed)
    return {
        f"fid{suffix}": frechet_distance(real.sums, seen.features),
        f"kid{suffix}_mean": kid_mean,
        f"kid{suffix}_std": kid_std,
        f"is{suffix}_mean": is_mean,
        f"is{suffix}_std": is_std,
    }


def _neighbours(seen: Features, real: ReferenceFeatures, settings: Evaluation) -> Neighbours:
    drawn = random_order(len(seen.features), settings.seed)[: settings.prdc_samples]
    reference, generated = real.sample[: settings.prdc_samples], seen.features[drawn]
    return find_neighbours(reference, generated, settings.neighbours)


def _unequal_sizes(generated: int, reference: int, prdc_samples: int) -> list[str]:
    generated, reference = min(generated, prdc_samples), min(reference, prdc_samples)
    if generated == reference:
        return []
    return [f"precision, recall, density, coverage: {generated} images measured against {reference} of the reference"]


def _class_metrics(seen: Features, reference: Reference) -> Metrics:
    counts = class_share.judged_counts(seen.logits)
    return {
        "class_share": class_share.share(counts).tolist(),
        "reference_share": class_share.share(reference.class_counts).tolist(),
        "class_share_kl": class_share.kl_divergence(counts, reference.class_counts),
        "class_share_tv": class_share.total_variation(counts, reference.class_counts),
    }

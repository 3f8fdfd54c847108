"""What study 1 found, put into sentences by the numbers themselves."""

import torch

from modescope.evaluation.tail import frequency_groups
from modescope.report.page import Finding
from modescope.report.results import Results
from modescope.report.wording import span
from modescope.studies.imbalance.rows import (
    LOOKS,
    REAL,
    class_share,
    imbalanced,
    long_tailed,
    models,
    run,
    training_counts,
    training_share,
)

LOST = 0.1  # a class is called lost when it has less than this part of its training share


def all_findings(results: Results) -> list[Finding]:
    """In the order of the report's claim: coverage, the rarest class, lost classes; then quality."""
    found = [_rarest_class(results), _lost_classes(results)]
    if {"gan", "vae"} <= set(models(results)):
        found = [_coverage(results), *found, _quality(results, "gan", "vae")]
    if {"vae", "vae-gmm"} <= set(models(results)):
        found.append(_quality(results, "vae-gmm", "vae"))
    return found + [_long_tail(results, name) for name in long_tailed(results)]


def _metric(results: Results, model: str, metric: str) -> list[float]:
    return [run(results, model, split).values[metric] for split in imbalanced(results)]


def _coverage(results: Results) -> Finding:
    """GAN against VAE by the total variation of class shares; a difference below the floor's largest value counts as
    none.
    """
    floor, gan, vae = (_metric(results, model, "class_share_tv") for model in (REAL, "gan", "vae"))
    gan_closer = sum(b - a > max(floor) for a, b in zip(gan, vae, strict=True))
    vae_closer = sum(a - b > max(floor) for a, b in zip(gan, vae, strict=True))
    text = (
        "Report 1 says that VAEs cover the classes and GANs lose the rare ones, and measures neither. "
        "Measured by total variation from the training split's class shares, "
        f"the VAE is closer on {vae_closer} of {len(floor)} splits and the GAN on {gan_closer}; "
        f"on {len(floor) - gan_closer - vae_closer} they differ by no more than the floor. "
        f"Distances: GAN {span(gan)}, VAE {span(vae)}, real images judged the same way {span(floor, 3)}."
    )
    return Finding("Class coverage", text)


def _rarest_class(results: Results) -> Finding:
    """The classes with the fewest images in the most imbalanced split."""
    name, split = max(imbalanced(results).items(), key=lambda item: item[1].ratio)
    fewest = min(split.counts)
    rare = [label for label, count in zip(split.classes, split.counts, strict=True) if count == fewest]
    indices = [run(results, REAL, name).classes.index(label) for label in rare]
    trained = sum(training_share(results, split)[index] for index in indices)
    shares = {
        LOOKS[model].label: sum(class_share(results, model, name)[index] for index in indices)
        for model in (REAL, *models(results))
    }
    seen = ", ".join(f"{label} {share:.1%}" for label, share in shares.items())
    verb = "is" if len(rare) == 1 else "are together"
    text = f"In {name} (IR {split.ratio:.2f}) {' and '.join(rare)} {verb} {trained:.1%} of the training images. As judged: {seen}."
    return Finding("Rarest class", text)


def _lost_classes(results: Results) -> Finding:
    """Classes with less than LOST of their training share, over all splits."""
    wanted = {name: training_share(results, split) for name, split in imbalanced(results).items()}
    total = sum(sum(value > 0 for value in share) for share in wanted.values())
    counts = []
    for model in models(results):
        pairs = [
            pair
            for name, share in wanted.items()
            for pair in zip(class_share(results, model, name), share, strict=True)
        ]
        counts.append(f"{LOOKS[model].label} {sum(share < LOST * target for share, target in pairs)}")
    return Finding(
        "Lost classes",
        f"Classes that keep less than a tenth of their training share, of {total} over all splits: {', '.join(counts)}.",
    )


def _long_tail(results: Results, name: str) -> Finding:
    """What is left of the rarest classes, against the balanced set."""
    few = frequency_groups(torch.tensor(training_counts(results, results.splits[name])))["few"].tolist()
    trained = sum(training_share(results, results.splits[name])[index] for index in few)
    measured = {LOOKS[model].label: run(results, model, name).values for model in (REAL, *models(results))}
    shares = ", ".join(f"{label} {values['num_few'] / values['num_samples']:.1%}" for label, values in measured.items())
    recalls = ", ".join(
        f"{label} {values['recall_many']:.3f} and {values['recall_few']:.3f}" for label, values in measured.items()
    )
    text = (
        f"The {len(few)} rarest classes are {trained:.1%} of {name}'s training images (IR {results.splits[name].ratio:.1f}). As judged, they are: {shares}. "
        f"Recall of the balanced set's frequent and rare classes: {recalls}."
    )
    return Finding(f"Long tail, {name}", text)


def _quality(results: Results, model: str, other: str) -> Finding:
    """How often `model` beats `other`, with the spans of both."""
    parts = []
    for metric, name in (
        ("fid_classifier", "FID of the judge's features"),
        ("precision", "precision"),
        ("recall", "recall"),
    ):
        ours, theirs = (_metric(results, chosen, metric) for chosen in (model, other))
        lower_wins = metric == "fid_classifier"
        wins = sum((a < b) if lower_wins else (a > b) for a, b in zip(ours, theirs, strict=True))
        better = "lower" if lower_wins else "higher"
        parts.append(f"{name} is {better} on {wins} of {len(ours)} splits ({span(ours)} against {span(theirs)})")
    return Finding(f"{LOOKS[model].label} against {LOOKS[other].label}", f"Its {'; its '.join(parts)}.")

"""What params.yaml must say for a data set of the user's own: names that follow from its classes, numbers from counts.

A number is lowered where there are too few images for it, and left as it is elsewhere.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from modescope.data.splits import BALANCED, long_tailed_counts
from modescope.errors import UserError

FEWEST_STEPS = 200  # of a classifier's training
HELD_OUT = 5  # a classifier is calibrated on one image of so many at most
Counts = Mapping[str, int]  # class -> images
Values = dict[str, Any]


def fit(values: Values, slots: Mapping[str, Values], train: Counts, test: Counts) -> Values:
    """`values` of params.yaml for `slots` (rgb, grey) that one data set of so many images fills.

    Raises UserError for too few images.
    """
    refuse_few(values, train, test)
    values = deepcopy(values)
    values["datasets"] |= slots
    fewest = min(sum(train.values()), sum(test.values()))
    for name, classifier in values["classifiers"].items():
        if name.partition("-")[0] in slots:
            fit_classifier(classifier, sum(train.values()))
    if "rgb" in slots:
        draws = fit_splits(values, train)
        fewest = min(fewest, *(min(sum(draw.values()), largest_floor(draw, test)) for draw in draws.values()))
        fit_batches(values, {name: sum(draw.values()) for name, draw in draws.items()})
    evaluation = values["evaluation"]
    enough = 2 * len(train) * (evaluation["neighbours"] + 1)
    for key in ("num_samples", "prdc_samples"):
        evaluation[key] = max(evaluation[key], enough)
    lower(evaluation, "kid_subset_size", fewest)
    lower(evaluation, "is_splits", math.isqrt(fewest))
    if "grey" in slots:
        fit_cgan(values, train, test)
    return values


def refuse_few(values: Values, train: Counts, test: Counts) -> None:
    """Raises UserError for a class with no more test images than an image has neighbours, or few to train on."""
    neighbours = values["evaluation"]["neighbours"]
    for split, counts, least in (("training", train, 2 * (neighbours + 1)), ("test", test, neighbours + 1)):
        scarcest = min(counts, key=lambda name: counts[name])
        if counts[scarcest] < least:
            raise UserError(
                f"class {scarcest} has {counts[scarcest]} {split} images: it takes {least} at least, add some or leave "
                f"the class out (evaluation.neighbours is {neighbours})"
            )


def lower(section: Values, key: str, most: float) -> None:
    """Where a number is above what there is, what there is."""
    section[key] = min(section[key], int(most))


def fit_splits(values: Values, train: Counts) -> dict[str, Counts]:
    """Study 1's splits of the data set's first classes, in the proportions that they had; what each of them draws.

    Of fewer classes a split keeps the counts of its first and of its last ones, so that it stays as imbalanced. Long
    tails that would end in no image are left out.
    """
    split, rhos = values["split"], values["split"]["long_tailed"]
    given = len(split["classes"])
    split["classes"] = list(train)[:given]
    half, classes = math.ceil(len(split["classes"]) / 2), len(split["classes"])
    parts = {name: counts[:half] + counts[given - (classes - half) :] for name, counts in split["counts"].items()}
    rooms = [train[name] * sum(part) // one for part in parts.values() for name, one in zip(train, part, strict=False)]
    split["total"] = min(split["total"], *rooms)
    split["counts"] = {name: in_proportion(part, split["total"]) for name, part in parts.items()}
    scarcest = min(train.values())
    split["long_tailed"] = {name: rho for name, rho in rhos.items() if rho <= scarcest}
    draws = {BALANCED: train}
    draws |= {name: dict(zip(split["classes"], counts, strict=True)) for name, counts in split["counts"].items()}
    for name, rho in split["long_tailed"].items():
        draws[name] = dict(zip(train, long_tailed_counts(scarcest, len(train), rho), strict=True))
    for section in (values["imbalance"], values["seeds"]):
        section["splits"] = [name for name in section["splits"] if name in draws] or [BALANCED]
    values["imbalance"]["ours"] = [name for name in values["imbalance"]["ours"] if name in draws]
    if values["two_stage"]["split"] not in draws:
        values["two_stage"]["split"] = BALANCED
    return {name: draws[name] for name in {values["two_stage"]["split"], *values["imbalance"]["splits"]}}


def in_proportion(parts: list[int], total: int) -> list[int]:
    """So many in all, in the proportion of `parts`: fractions go to the largest remainders."""
    counts, remainders = ([f(part * total, sum(parts)) for part in parts] for f in (int.__floordiv__, int.__mod__))
    for place in sorted(range(len(parts)), key=lambda place: -remainders[place])[: total - sum(counts)]:
        counts[place] += 1
    return counts


def largest_floor(draw: Counts, test: Counts) -> int:
    """Test images in the proportions of a draw."""
    return min(test[name] * sum(draw.values()) // count for name, count in draw.items())


def fit_classifier(classifier: Values, count: int) -> None:
    """A classifier's training on so many images: fewer to calibrate with, and enough steps."""
    lower(classifier, "calibration_images", count // HELD_OUT)
    left = count - classifier["calibration_images"]
    lower(classifier, "batch_size", left)
    classifier["epochs"] = max(classifier["epochs"], float(math.ceil(FEWEST_STEPS * classifier["batch_size"] / left)))


def fit_batches(values: Values, sizes: Mapping[str, int]) -> None:
    """Studies 1 and 2 on splits of so many images."""
    study, chosen = values["imbalance"], sizes[values["two_stage"]["split"]]
    smallest = min(sizes[name] for name in study["splits"])
    for model in ("gan", "gan-ours"):
        lower(study[model], "batch_size", smallest)
    for section, most in ((study["vae"], smallest), (values["hybrid"], chosen)):
        lower(section, "batch_size", most * (1 - study["vae"]["eval_fraction"]))
    lower(study["mixture"], "components", smallest)
    lower(values["hybrid"], "num_codes", chosen)
    runs = [*values["two_stage"]["stage1"].values(), *values["two_stage"]["rows"].values()]
    for section in (values, *(run for run in runs if "batch_size" in run)):
        lower(section, "batch_size", chosen)


def fit_cgan(values: Values, train: Counts, test: Counts) -> None:
    """Study 3: batches, and how many images of each class are compared."""
    study, evaluation, count = values["cgan"], values["evaluation"], sum(train.values())
    for section in (study["training"], *(row for row in study["ours"].values() if "batch_size" in row)):
        lower(section, "batch_size", count)
    drawn = [evaluation[key] // (2 * len(train)) for key in ("num_samples", "prdc_samples") if evaluation[key] < count]
    lower(study, "per_class_samples", min(*test.values(), *train.values(), *drawn))

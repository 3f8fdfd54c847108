"""params.yaml for other classes: what follows from their names and counts is valid, and stays as it was elsewhere."""

import pytest

from modescope.config import parse_params, profile_values
from modescope.config.profiles import differences
from modescope.errors import UserError
from modescope.own.fitting import FEWEST_STEPS, fit, in_proportion

OWN = {"folder": "x", "digest": "0" * 64, "skip_broken": False, "test_share": 0.2, "seed": 0}
BOTH = {"rgb": OWN, "grey": OWN}


def counts(classes: int, images: int) -> dict[str, int]:
    return {f"class {number}": images for number in range(classes)}


@pytest.mark.parametrize("profile", ["demo", "standard", "paper"])
@pytest.mark.parametrize(("classes", "train", "test"), [(2, 12, 6), (3, 80, 20), (17, 24, 6), (100, 500, 100)])
def test_every_profile_fits(profile, classes, train, test):
    values = profile_values(profile)
    given, held = counts(classes, train), counts(classes, test)
    fitted = fit(values, BOTH, given, held)
    params = parse_params(fitted, "params.yaml")
    chosen = list(given)[: len(values["split"]["classes"])]
    assert params.split.classes == chosen and params.datasets.grey == params.datasets.rgb
    assert all(sum(split) == params.split.total and max(split) <= train for split in params.split.counts.values())
    assert params.split.total <= values["split"]["total"] and set(params.split.counts) == set(values["split"]["counts"])
    assert params.evaluation.neighbours < params.cgan.per_class_samples <= test
    assert params.evaluation.kid_subset_size <= classes * test
    for classifier in params.classifiers.values():
        left = classes * train - classifier.calibration_images
        assert classifier.batch_size <= left
        assert classifier.epochs * left / classifier.batch_size >= FEWEST_STEPS
    assert fit(fitted, BOTH, given, held) == fitted
    assert values == profile_values(profile)


def test_a_split_stays_as_imbalanced_with_fewer_classes():
    split = fit(profile_values("standard"), BOTH, counts(3, 400), counts(3, 100))["split"]
    assert split["total"] == 700  # 400 of 4000 + 1500 + 1500, and no split needs more
    assert split["counts"]["split1"] == [400, 150, 150]
    assert split["counts"]["split4"] == [317, 317, 66]
    assert split["long_tailed"] == {"lt10": 10.0, "lt100": 100.0}


def test_long_tails_that_end_in_nothing_are_left_out():
    values = profile_values("standard")
    values["two_stage"]["split"], values["seeds"]["splits"] = "lt100", ["lt100"]
    fitted = fit(values, BOTH, counts(3, 80), counts(3, 20))
    assert fitted["split"]["long_tailed"] == {"lt10": 10.0}
    assert fitted["imbalance"]["splits"] == [name for name in values["imbalance"]["splits"] if name != "lt100"]
    assert fitted["two_stage"]["split"] == "balanced" and fitted["seeds"]["splits"] == ["balanced"]


def test_a_slot_alone_changes_its_own_studies():
    values = profile_values("demo")
    grey = differences(values, fit(values, {"grey": OWN}, counts(3, 80), counts(3, 20)))
    assert not [line for line in grey if line.startswith(("split", "imbalance", "two_stage", "classifiers.rgb"))]
    rgb = differences(values, fit(values, {"rgb": OWN}, counts(3, 80), counts(3, 20)))
    assert not [line for line in rgb if line.startswith(("cgan", "datasets.grey", "classifiers.grey"))]


def test_many_images_change_names_alone():
    values = profile_values("standard")
    changed = differences(values, fit(values, {"rgb": OWN}, counts(10, 5000), counts(10, 1000)))
    assert {line.split(":")[0].split(".")[0] for line in changed} == {"datasets", "split"}
    assert [line for line in changed if "counts" in line or "total" in line] == []


def test_too_few_images_of_a_class_are_refused():
    with pytest.raises(UserError, match="class class 1 has 5 test images: it takes 6 at least"):
        fit(profile_values("demo"), BOTH, counts(3, 80), counts(3, 20) | {"class 1": 5})


def test_proportions_go_to_the_largest_remainders():
    assert in_proportion([1, 1, 1], 8) == [3, 3, 2]
    assert in_proportion([4000, 1500], 100) == [73, 27]
    assert in_proportion([5, 5], 10) == [5, 5]

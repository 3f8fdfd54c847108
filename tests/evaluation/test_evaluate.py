import math

import pytest
from torch.nn.functional import pad

from modescope.errors import UserError
from modescope.evaluation.diversity import class_diversity
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.features import extract_features
from modescope.evaluation.reference import build_reference

SHARES = [0.6, 0.2, 0.2, 0.0]
KEYS = {
    "num_samples", "num_reference", "fid_classifier", "kid_classifier_mean",
    "kid_classifier_std", "is_classifier_mean", "is_classifier_std", "precision", "recall",
    "density", "coverage", "class_share", "reference_share", "class_share_kl", "class_share_tv",
}  # fmt: skip


@pytest.fixture
def measure(draw_images, pixel_judge, settings):
    """Draw images of the given class shares and measure them against 400 images of `SHARES`."""
    images, labels = draw_images(400, SHARES, seed=0)
    reference = build_reference("split1", images, labels, 4, [pixel_judge], settings)

    def run(probabilities, count=300, seed=1, images=None):
        measured = draw_images(count, probabilities, seed)[0] if images is None else images
        return evaluate_images(measured, reference, [pixel_judge], settings)

    return run


def test_every_key_is_there_and_finite(measure):
    metrics = measure(SHARES)
    assert set(metrics) == KEYS
    assert (metrics["num_samples"], metrics["num_reference"]) == (300, 400)
    values = (
        [value for value in metrics.values() if not isinstance(value, list)]
        + metrics["class_share"]
        + metrics["reference_share"]
    )
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
    assert sum(metrics["class_share"]) == pytest.approx(1) == pytest.approx(sum(metrics["reference_share"]))


def test_real_against_itself_hits_the_floor(measure, draw_images):
    metrics = measure(SHARES, images=draw_images(400, SHARES, seed=0)[0])
    assert metrics["fid_classifier"] == pytest.approx(0, abs=1e-6)
    assert metrics["kid_classifier_mean"] == pytest.approx(0, abs=0.01)
    assert metrics["class_share_tv"] == 0 and metrics["class_share_kl"] == pytest.approx(0, abs=1e-12)
    assert (metrics["precision"], metrics["recall"], metrics["coverage"]) == (1, 1, 1)
    assert metrics["density"] == pytest.approx(1, abs=0.2)


def test_a_collapsed_sampler_is_caught(measure):
    fair, collapsed = measure(SHARES), measure([0, 1.0, 0, 0])
    assert collapsed["precision"] > 0.7
    assert collapsed["recall"] < 0.3 < 0.6 < fair["recall"]
    assert collapsed["coverage"] < 0.3 < 0.6 < fair["coverage"]
    assert collapsed["class_share"] == [0, 1, 0, 0]
    assert collapsed["class_share_tv"] == pytest.approx(0.8, abs=0.05)
    assert collapsed["class_share_kl"] > 1 > 0.1 > fair["class_share_kl"]
    assert collapsed["fid_classifier"] > 10 * fair["fid_classifier"]
    assert collapsed["is_classifier_mean"] < fair["is_classifier_mean"]


def test_same_seed_same_metrics(measure):
    assert measure(SHARES) == measure(SHARES)
    assert measure(SHARES, seed=2) != measure(SHARES)


def test_warnings_name_what_is_small(measure, settings, draw_images, pixel_judge):
    metrics = measure(SHARES, count=100)
    assert metrics["warnings"] == [
        "precision, recall, density, coverage: 100 images measured against 250 of the reference"
    ]
    few, labels = draw_images(8, SHARES, seed=3)
    tiny = settings.model_copy(update={"kid_subset_size": 8, "prdc_samples": 8, "is_splits": 2})
    reference = build_reference("tiny", few, labels, 4, [pixel_judge], tiny)
    warnings = evaluate_images(few, reference, [pixel_judge], tiny)["warnings"]
    assert warnings == [
        "fid_classifier: 8 reference images leave a covariance of 8 features rank-deficient",
        "fid_classifier: 8 measured images leave a covariance of 8 features rank-deficient",
    ]


@pytest.mark.parametrize(("count", "message"), [(49, "KID draws subsets of 50"), (4, "KID draws subsets of 50")])
def test_too_few_images_raise(measure, count, message):
    with pytest.raises(UserError, match=message):
        measure(SHARES, count=count)


def test_a_second_extractor_gets_its_own_keys(draw_images, pixel_judge, settings):
    images, labels = draw_images(300, SHARES, seed=0)
    other = type("Other", (type(pixel_judge),), {"name": "inception", "suffix": ""})()
    extractors = [pixel_judge, other]
    reference = build_reference("split1", images, labels, 4, extractors, settings)
    metrics = evaluate_images(images, reference, extractors, settings)
    assert set(metrics) == KEYS | {"fid", "kid_mean", "kid_std", "is_mean", "is_std", "warnings"} - {"warnings"}
    assert metrics["fid"] == metrics["fid_classifier"] and metrics["kid_mean"] == metrics["kid_classifier_mean"]


def test_class_diversity_comes_with_labels_and_a_number_per_class(draw_images, pixel_judge, settings):
    """The images are enlarged by a black margin; the judge looks at the first pixels only."""
    (images, labels), (real, real_labels) = (draw_images(300, [1, 1, 1, 1], seed) for seed in (1, 0))
    images, real = pad(images, (0, 24, 0, 24)), pad(real, (0, 24, 0, 24))
    reference = build_reference("split1", real, real_labels, 4, [pixel_judge], settings)
    without, found = (
        evaluate_images(images, reference, [pixel_judge], settings, labels, per_class) for per_class in (None, 40)
    )
    seen = extract_features(images, pixel_judge).features
    expected = class_diversity(
        images, labels, seen, reference.features["judge"].sample, reference.sample_labels, 40, settings.neighbours
    )
    assert set(expected) == {"pixel_std", "ms_ssim", "recall_per_class", "coverage_per_class"}
    assert found == without | expected and not without.keys() & expected.keys()
    unlabelled = evaluate_images(images, reference, [pixel_judge], settings, None, 40)
    assert (
        unlabelled == {name: value for name, value in without.items() if name in unlabelled}
        and "ms_ssim" not in unlabelled
    )

import math

import pytest
import torch

from modescope.evaluation.calibration import classification_scores, expected_calibration_error, fit_temperature


def calibrated_logits(count=4000, num_classes=5):
    """Logits whose softmax is the true distribution of the labels."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, num_classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_is_found(temperature):
    logits, labels = calibrated_logits()
    assert fit_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.05)


def test_scaling_lowers_the_calibration_error():
    logits, labels = calibrated_logits()
    scores = classification_scores(3 * logits, labels, fit_temperature(3 * logits, labels))
    assert scores["ece_before"] > 0.1 and scores["ece_after"] < 0.03


def test_a_perfect_classifier_keeps_a_finite_temperature():
    assert 0.05 <= fit_temperature(torch.eye(3) * 5, torch.arange(3)) < 0.3


def test_calibration_error_by_hand():
    """Confidences 0.9, 0.9 (one right) and 0.6 (right): 2/3 * |0.9 - 0.5| + 1/3 * |0.6 - 1|."""
    logits = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]]).log()
    error = expected_calibration_error(logits, torch.tensor([0, 0, 0]))
    assert error == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 0.4, rel=1e-5)


def test_a_bin_holds_its_upper_edge():
    """Of two bins, (0, 0.5] and (0.5, 1], confidence 0.5 belongs to the first: |0.5 - 1| / 2 + |0.6 - 0| / 2."""
    logits = torch.tensor([[0.5, 0.5], [0.4, 0.6]], dtype=torch.double).log()
    error = expected_calibration_error(logits, torch.tensor([0, 0]), num_bins=2)
    assert error == pytest.approx(0.55, rel=1e-6)


def test_scores_by_hand():
    """Class 0: one of two right, class 1: right. Temperature 2 takes the square root of the odds."""
    logits = torch.tensor([[4.0, 1.0], [1.0, 4.0], [1.0, 9.0]]).log()
    scores = classification_scores(logits, torch.tensor([0, 0, 1]), temperature=2.0)
    assert scores["accuracy"] == pytest.approx(2 / 3) and scores["accuracy_per_class"] == pytest.approx([0.5, 1.0])
    assert scores["nll"] == pytest.approx(-(math.log(2 / 3) + math.log(1 / 3) + math.log(3 / 4)) / 3, rel=1e-5)
    assert (scores["temperature"], scores["num_test"]) == (2.0, 3)

from math import log

import pytest
import torch

from modescope.evaluation.class_share import class_counts, judged_counts, kl_divergence, share, total_variation


def test_counts_keep_the_dataset_order_and_absent_classes():
    assert class_counts(torch.tensor([2, 0, 2]), 4).tolist() == [1, 0, 2, 0]
    assert judged_counts(torch.tensor([[0.0, 9.0, 1.0], [5.0, 1.0, 1.0], [0.0, 1.0, 0.5]])).tolist() == [1, 2, 0]


def test_share_sums_to_one():
    assert share(torch.tensor([1, 0, 3])).tolist() == [0.25, 0, 0.75]


def test_hand_computed_distances():
    generated, reference = torch.tensor([8, 0]), torch.tensor([1, 3])
    assert total_variation(generated, reference) == pytest.approx(0.75)
    # smoothed: 9/10, 1/10 against 2/6, 4/6
    assert kl_divergence(generated, reference) == pytest.approx(0.9 * log(0.9 * 3) + 0.1 * log(0.1 * 1.5))


def test_equal_histograms_have_no_distance():
    counts = torch.tensor([5, 0, 7])
    assert total_variation(counts, counts) == 0
    assert kl_divergence(counts, counts) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 4]), r"in \[0, 4\)"),
        (torch.tensor([-1]), r"in \[0, 4\)"),
        (torch.zeros(3), "int64"),
        (torch.zeros(3, 1).long(), "int64"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        class_counts(labels, 4)


@pytest.mark.parametrize("distance", [total_variation, kl_divergence])
def test_histograms_of_other_classes_are_refused(distance):
    with pytest.raises(ValueError, match=r"shape \(3,\) as the reference's, received \(2,\)"):
        distance(torch.tensor([1, 1]), torch.tensor([1, 1, 1]))

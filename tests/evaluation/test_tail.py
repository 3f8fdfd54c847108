"""Many, medium, few: the groups, and what is measured of each."""

import torch

from modescope.data.splits import frequency_groups
from modescope.evaluation.features import Features
from modescope.evaluation.prdc import find_neighbours
from modescope.evaluation.tail import tail_metrics

COUNTS = torch.tensor([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])


def measure(per_class, labels=None, seed=0):
    """Ten classes, far apart in 12 dimensions; a generator with `per_class` images of each, drawn like the real 40."""
    random = torch.Generator().manual_seed(seed)
    centres = 20 * torch.eye(10, 12)
    real_labels = torch.arange(10).repeat_interleave(40)
    seen_labels = torch.arange(10).repeat_interleave(torch.tensor(per_class))
    real = centres[real_labels] + torch.randn(len(real_labels), 12, generator=random)
    drawn = centres[seen_labels] + torch.randn(len(seen_labels), 12, generator=random)
    seen = Features(drawn, drawn[:, :10])
    return tail_metrics(seen, labels, real, real_labels, find_neighbours(real, drawn, 3), COUNTS, seed=0)


def test_groups_are_the_fields():
    groups = frequency_groups(COUNTS)
    assert {name: classes.tolist() for name, classes in groups.items()} == {
        "many": [0, 1, 2],
        "medium": [3, 4, 5],
        "few": [6, 7, 8, 9],
    }
    assert frequency_groups(COUNTS.flip(0))["few"].tolist() == [3, 2, 1, 0]


def test_a_generator_that_lost_the_tail_shows_it_there_alone():
    lost, kept = measure([40] * 6 + [0] * 4), measure([40] * 10)
    assert lost["num_few"] == 0 and "fid_classifier_few" not in lost and "kid_classifier_few" not in lost
    assert lost["recall_few"] == lost["coverage_few"] == 0 and lost["recall_of_class"][6:] == [0.0] * 4
    for metric in ("fid_classifier_many", "kid_classifier_many", "coverage_many"):
        assert lost[metric] == kept[metric]
    assert kept["num_few"] == 160 and kept["coverage_few"] > 0.8


def test_a_worse_tail_has_a_larger_distance():
    one_class, all_four = measure([40] * 6 + [160, 0, 0, 0]), measure([40] * 10)
    assert one_class["kid_classifier_few"] > all_four["kid_classifier_few"] + 1
    assert one_class["fid_classifier_few"] > 10 * all_four["fid_classifier_few"]


def test_meant_classes_come_before_the_judges_view():
    """Images that are all meant to be of class 0 are all counted there."""
    assert measure([40] * 10, labels=torch.zeros(400, dtype=torch.int64))["num_many"] == 400

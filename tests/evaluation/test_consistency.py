"""Class consistency, counted by hand, and given only where classes were intended."""

import pytest
import torch

from modescope.evaluation.consistency import class_consistency, confusion
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.reference import build_reference

LOGITS = torch.tensor([[9.0, 1, 0], [0, 2, 1], [3, 2, 1], [0, 1, 5], [7, 0, 1]])  # judged 0, 1, 0, 2, 0
INTENDED = torch.tensor([0, 1, 1, 2, 2])
COUNTS = [[1, 0, 0], [1, 1, 0], [1, 0, 1]]


def test_rows_are_intended_and_columns_judged():
    assert confusion(LOGITS, INTENDED).tolist() == COUNTS


def test_shares_by_hand():
    assert class_consistency(torch.tensor(COUNTS)) == {
        "class_consistency": pytest.approx(3 / 5),
        "class_consistency_per_class": [1.0, 0.5, 0.5],
        "confusion": COUNTS,
    }


def test_a_class_without_images_counts_as_never():
    found = class_consistency(confusion(LOGITS[:3], INTENDED[:3]))
    assert found["class_consistency"] == pytest.approx(2 / 3) and found["class_consistency_per_class"] == [
        1.0,
        0.5,
        0.0,
    ]


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS[0], INTENDED, r"expected logits \(N, D\)"),
        (LOGITS.long(), INTENDED, "floating-point dtype"),
        (LOGITS, INTENDED[:4], "expected 5 labels, one per image, received 4"),
        (LOGITS, INTENDED.float(), r"expected labels \(N,\) int64"),
        (LOGITS, INTENDED[:, None], r"expected labels \(N,\) int64"),
        (LOGITS, INTENDED + 1, r"expected labels in \[0, 3\)"),
    ],
)
def test_other_shapes_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        confusion(logits, labels)


def test_evaluation_gives_it_only_with_labels(draw_images, pixel_judge, settings):
    shares = [0.4, 0.3, 0.2, 0.1]
    reference = build_reference("split1", *draw_images(400, shares, seed=0), 4, [pixel_judge], settings)
    images, labels = draw_images(300, shares, seed=1)
    without, right, wrong = (
        evaluate_images(images, reference, [pixel_judge], settings, found) for found in (None, labels, (labels + 1) % 4)
    )
    assert right.keys() - without.keys() == {"class_consistency", "class_consistency_per_class", "confusion"}
    assert (right["class_consistency"], wrong["class_consistency"]) == (1.0, 0.0)
    assert right["confusion"] == torch.bincount(labels, minlength=4).diag().tolist()
    assert {name: right[name] for name in without} == without

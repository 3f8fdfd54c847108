import numpy as np
import pytest
import torch
import torch.nn.functional as F

from modescope.errors import UserError
from modescope.evaluation.inception_score import inception_score


@pytest.mark.parametrize("sharpness", [50.0, 5000.0], ids=["sharp", "beyond float64"])
@pytest.mark.parametrize("num_classes", [2, 10])
def test_certain_and_uniform_scores_the_number_of_classes(num_classes, sharpness):
    """One-hot predictions, as many of each class in every part: here every part is half of an even set."""
    logits = sharpness * F.one_hot(torch.arange(2000) % num_classes, num_classes).float()
    mean, std = inception_score(logits, splits=2, seed=0)
    assert mean == pytest.approx(num_classes, rel=0.02)
    assert std == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    "logits", [torch.zeros(100, 7), torch.eye(7)[[3]].repeat(100, 1) * 5000], ids=["unsure", "one class"]
)
def test_equal_predictions_score_one(logits):
    assert inception_score(logits, splits=10, seed=0) == pytest.approx((1, 0), abs=1e-9)


def test_agrees_with_the_definition():
    """Two parts of one image each: order does not matter, so the formula can be written down."""
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    mean, std = inception_score(logits, splits=2, seed=0)
    assert (mean, std) == pytest.approx((1, 0), abs=1e-9)

    logits = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)) * 3
    scores = []
    with torch.random.fork_rng():
        torch.manual_seed(4)
        order = torch.randperm(60)
    for part in logits[order].double().softmax(1).numpy().reshape(3, 20, 5):
        scores.append(np.exp((part * np.log(part / part.mean(0))).sum(1).mean()))
    assert inception_score(logits, splits=3, seed=4) == pytest.approx(
        (np.mean(scores), np.std(scores, ddof=1)), rel=1e-9
    )


def test_seed_decides_and_leaves_the_global_state():
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    state = torch.random.get_rng_state()
    first, repeated, other = (inception_score(logits, 5, seed) for seed in (1, 1, 2))
    assert first == repeated != other
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(("count", "splits"), [(10, 1), (9, 10), (100, 30)])
def test_parts_that_cannot_be_filled_raise(count, splits):
    with pytest.raises(UserError, match=f"cannot cut {count} images into {splits}"):
        inception_score(torch.zeros(count, 3), splits, seed=0)


def test_bad_shape():
    with pytest.raises(ValueError, match="expected logits"):
        inception_score(torch.zeros(10), 2, seed=0)

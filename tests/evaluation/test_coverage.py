"""Mode coverage: counted by hand, closed forms of KL, and the floors that sampling sets."""

from math import log

import pytest
import torch

from modescope.data.stacked import stack_digits
from modescope.evaluation.coverage import judged_modes, mode_coverage

MNIST_COUNTS = torch.tensor([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])  # of its training images


class BrightnessJudge:
    """Sees the digit d in a grey image of brightness 20 d."""

    name, suffix, identity = "judge", "_classifier", "brightness"

    def __call__(self, images):
        brightness = images.flatten(1).float()
        assert images.shape[1] == 1
        return brightness, -(brightness.mean(1, keepdim=True) - 20 * torch.arange(11)).abs()


def test_every_channel_is_judged_on_its_own():
    digits = torch.randint(0, 10, (150, 3), generator=torch.Generator().manual_seed(0))
    images = (20 * digits).to(torch.uint8)[:, :, None, None].expand(-1, -1, 4, 5)
    assert judged_modes(images, BrightnessJudge()).tolist() == (digits @ torch.tensor([100, 10, 1])).tolist()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), r"expected digits \(N, 3\), received \(2, 1\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "expected images"),
        (torch.zeros(2, 3, 4, 4), "uint8, received"),
        (torch.full((2, 3, 4, 4), 200, dtype=torch.uint8), "digits in 0 ... 9, received 10 to 10"),
    ],
)
def test_other_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        judged_modes(images, BrightnessJudge())


def test_modes_are_counted_by_hand():
    assert mode_coverage(torch.tensor([3, 7, 3, 3]), num_modes=10, enough=3) == {
        "modes_covered": 2,
        "modes_enough": 1,
        "kl_to_uniform": pytest.approx(log(10) + 0.75 * log(0.75) + 0.25 * log(0.25)),
    }


@pytest.mark.parametrize(
    ("modes", "covered", "kl"),
    [(torch.arange(1000), 1000, 0), (torch.full((1000,), 5), 1, log(1000)), (torch.arange(1000) % 500, 500, log(2))],
)
def test_closed_forms(modes, covered, kl):
    found = mode_coverage(modes.repeat(10), 1000, enough=10)
    assert (found["modes_covered"], found["modes_enough"]) == (covered, covered)
    assert found["kl_to_uniform"] == pytest.approx(kl, abs=1e-12)


def test_sampling_alone_leaves_a_floor():
    """26,000 uniform draws over 1,000 modes: (1,000 - 1) / (2 * 26,000) nats to first order."""
    modes = torch.randint(0, 1000, (26_000,), generator=torch.Generator().manual_seed(0))
    found = mode_coverage(modes, 1000, enough=10)
    assert found["kl_to_uniform"] == pytest.approx(0.019, abs=0.002) and found["modes_covered"] == 1000


def test_the_digits_own_frequencies_raise_the_floor():
    labels = torch.arange(10).repeat_interleave(MNIST_COUNTS)
    _, modes = stack_digits(torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels, 26_000, seed=0)
    assert mode_coverage(modes, 1000, enough=10)["kl_to_uniform"] == pytest.approx(0.024, abs=0.002)


def test_modes_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1000\), received 4 to 1000"):
        mode_coverage(torch.tensor([4, 1000]), 1000, enough=1)

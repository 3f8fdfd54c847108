import pytest
import torch

from modescope.data.stacked import digits_to_mode, stack_digits
from modescope.errors import UserError

LABELS = torch.tensor([7, 0, 2, 9, 2])


def digits(labels):
    """Images that show their label in the first pixel and their row in the second."""
    return torch.stack([labels, torch.arange(len(labels))], 1).to(torch.uint8).view(-1, 1, 1, 2)


def test_channels_are_digits_and_modes_spell_them():
    images, modes = stack_digits(digits(LABELS), LABELS, 200, seed=3)
    assert (images.shape, images.dtype) == ((200, 3, 1, 2), torch.uint8)
    assert (modes.shape, modes.dtype) == ((200,), torch.int64)
    assert torch.equal(LABELS[images[:, :, 0, 1].long()], images[:, :, 0, 0].long())
    assert [f"{mode:03}" for mode in modes] == ["".join(map(str, channels)) for channels in images[:, :, 0, 0].tolist()]


def test_a_mode_is_a_number_of_three_digits():
    assert digits_to_mode(torch.tensor([[1, 2, 3], [0, 0, 9], [9, 9, 9]])).tolist() == [123, 9, 999]


def test_the_draw_is_pinned_and_a_longer_one_goes_on():
    modes = stack_digits(digits(LABELS), LABELS, 6, seed=42)[1].tolist()
    assert modes == [772, 202, 92, 772, 772, 900]
    assert stack_digits(digits(LABELS), LABELS, 8, seed=42)[1].tolist()[:6] == modes
    assert stack_digits(digits(LABELS), LABELS, 6, seed=43)[1].tolist() != modes


def test_draws_are_uniform_and_channels_independent():
    """Pearson's statistic over the 125 triples of 5 images has mean 124 and deviation 16."""
    drawn = stack_digits(digits(LABELS), LABELS, 50_000, seed=0)[0][:, :, 0, 1].long()
    counts = torch.bincount(drawn @ torch.tensor([25, 5, 1]), minlength=125)
    assert ((counts - 400) ** 2 / 400).sum() < 124 + 4 * 16


@pytest.mark.parametrize(
    ("images", "labels", "seed", "error", "message"),
    [
        (digits(LABELS), LABELS, -1, UserError, "seed -1 is negative"),
        (digits(LABELS).expand(-1, 3, -1, -1), LABELS, 0, UserError, "3 channels cannot be stacked: take grey digits"),
        (digits(LABELS).float(), LABELS, 0, ValueError, r"uint8, received \(5, 1, 1, 2\) torch.float32"),
        (digits(LABELS)[:0], LABELS[:0], 0, ValueError, r"N >= 1.* received \(0, 1, 1, 2\)"),
        (digits(LABELS)[0], LABELS, 0, ValueError, r"received \(1, 1, 2\)"),
        (digits(LABELS), LABELS[:4], 0, ValueError, r"expected labels \(5,\) int64, one per image, received \(4,\)"),
        (digits(LABELS), LABELS.int(), 0, ValueError, "received .* torch.int32"),
        (digits(LABELS), LABELS + 3, 0, ValueError, "digits in 0 ... 9, received 3 to 12"),
    ],
)
def test_what_cannot_be_stacked_is_said(images, labels, seed, error, message):
    with pytest.raises(error, match=message):
        stack_digits(images, labels, 100, seed)


def test_a_mode_has_three_digits():
    with pytest.raises(ValueError, match=r"expected digits \(N, 3\), received \(4, 2\)"):
        digits_to_mode(torch.zeros(4, 2, dtype=torch.int64))

import pytest
import torch

from modescope.data.batches import BatchStream, to_signed, to_uint8, to_unit
from modescope.errors import UserError

COUNT = 10


@pytest.fixture
def stream():
    def build(batch_size=4, seed=7):
        labels = torch.arange(COUNT)
        images = labels.to(torch.uint8).view(COUNT, 1, 1, 1).expand(COUNT, 3, 2, 2).contiguous()
        return BatchStream(images, labels, batch_size, seed)

    return build


def _labels(stream, steps):
    return [stream.batch(step)[1].tolist() for step in steps]


def test_a_batch_has_the_promised_shapes_and_pairs_images_with_labels(stream):
    images, labels = stream().batch(3)
    assert (images.shape, images.dtype) == ((4, 3, 2, 2), torch.uint8)
    assert (labels.shape, labels.dtype) == ((4,), torch.int64)
    assert torch.equal(images[:, 0, 0, 0].long(), labels)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 10])
def test_epochs_are_permutations_laid_end_to_end(stream, batch_size):
    batches = _labels(stream(batch_size), range(3 * COUNT))
    order = [label for batch in batches for label in batch]
    assert all(len(batch) == batch_size for batch in batches)
    epochs = [order[start : start + COUNT] for start in range(0, 3 * COUNT, COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_depends_on_its_step_alone(stream):
    steps = list(range(12))
    forward = _labels(stream(), steps)
    assert _labels(stream(), reversed(steps)) == forward[::-1]
    assert _labels(stream(), [9, 0, 9, 5]) == [forward[step] for step in (9, 0, 9, 5)]


def test_the_seed_decides_the_order(stream):
    assert _labels(stream(seed=7), range(5)) == _labels(stream(seed=7), range(5))
    assert _labels(stream(seed=7), range(5)) != _labels(stream(seed=8), range(5))


def test_steps_per_epoch(stream):
    assert stream(4).steps_per_epoch == 2.5


def test_a_batch_larger_than_the_data_is_refused(stream):
    with pytest.raises(UserError, match="a batch of 11 images cannot be drawn from 10"):
        stream(11)


def test_ranges_and_round_trip_of_every_level():
    levels = torch.arange(256, dtype=torch.uint8)
    for convert, low in ((to_signed, -1.0), (to_unit, 0.0)):
        floats = convert(levels)
        assert (floats.dtype, floats.min().item(), floats.max().item()) == (torch.float32, low, 1.0)
        assert torch.equal(to_uint8(floats, low), levels)


def test_to_uint8_rounds_and_clamps():
    signed = torch.tensor([-1.5, -1.0, -0.9961, -0.996, 0.9999, 1.5])
    assert to_uint8(signed, -1.0).tolist() == [0, 0, 0, 1, 255, 255]
    assert to_uint8(torch.tensor([1.0]).bfloat16(), 0.0).dtype == torch.uint8


@pytest.mark.parametrize("convert", [to_signed, to_unit])
def test_images_that_are_floats_already_are_refused(convert):
    with pytest.raises(ValueError, match="expected uint8 images, got torch.float32"):
        convert(torch.zeros(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_never_becomes_a_pixel(value):
    images = torch.zeros(2, 1, 2, 2)
    images[1, 0, 1, 0] = value
    with pytest.raises(UserError, match="not finite"):
        to_uint8(images, low=-1.0)

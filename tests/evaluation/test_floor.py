import pytest
import torch

from modescope.data.prepared import Dataset
from modescope.data.splits import draw_split
from modescope.errors import UserError
from modescope.evaluation.floor import floor_images, largest_draw

CLASSES = ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("available", "wanted", "num_images", "expected"),
    [
        ([2000, 4500, 0], [4000, 1500, 0], 10_000, [2000, 750, 0]),  # the scarcest class decides
        ([5000, 5000, 5000], [100, 300, 0], 1000, [250, 750, 0]),  # num_samples decides
        ([10, 10, 10], [1, 1, 1], 10, [4, 3, 3]),  # a remainder goes to the first of equals
        ([2500, 6000, 5000], [3500, 3500, 3000], 10_000, [2500, 2500, 2142]),
    ],
)
def test_largest_set_of_the_same_proportions(available, wanted, num_images, expected):
    assert largest_draw(torch.tensor(available), torch.tensor(wanted), num_images).tolist() == expected


def test_no_test_image_of_a_class():
    with pytest.raises(UserError, match="no real images are left"):
        largest_draw(torch.tensor([5, 0]), torch.tensor([5, 5]), 10)


def dataset(per_class: int, first: int) -> Dataset:
    """Every image has a value of its own; classes take turns."""
    count = per_class * len(CLASSES)
    images = torch.arange(first, first + count, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return Dataset("toy", "toy", images, torch.arange(count) % len(CLASSES), CLASSES)


def test_floor_is_test_images_in_the_splits_proportions():
    train, test = dataset(20, first=0), dataset(10, first=100)
    split = draw_split(train.labels, CLASSES, {"cat": 15, "ant": 5}, seed=0, name="toy")
    floor = floor_images(test, split, num_images=1000, seed=0)
    drawn = floor.images.flatten()
    assert len(set(drawn.tolist())) == len(drawn) == 13  # 10 cats are there, and three cats to an ant
    assert set(drawn.tolist()) <= set(test.images.flatten().tolist())
    assert torch.bincount((drawn - 100).long() % 3, minlength=3).tolist() == [3, 0, 10]
    assert torch.equal(floor.labels, (drawn - 100).long() % 3)
    repeated, other = (floor_images(test, split, 1000, seed) for seed in (0, 1))
    assert torch.equal(floor.images, repeated.images) and torch.equal(floor.labels, repeated.labels)
    assert not torch.equal(floor.images, other.images)


def test_floor_of_balanced_is_the_test_set():
    train, test = dataset(20, first=0), dataset(10, first=100)
    balanced = draw_split(train.labels, CLASSES, None, seed=0)
    drawn = floor_images(test, balanced, num_images=1000, seed=0).images
    assert drawn.flatten().sort().values.tolist() == test.images.flatten().tolist()

import json
from dataclasses import replace

import pyarrow.parquet
import pytest
import torch

from modescope.data.order import random_order
from modescope.data.prepared import Dataset
from modescope.data.sources import CIFAR10, fetch
from modescope.data.splits import Split, draw_split, draw_splits, long_tailed_counts
from modescope.errors import UserError

CLASSES = ("ant", "bee", "cow", "dog")
STUDY_CLASSES = ["cat", "dog", "horse", "deer", "bird"]
STUDY_COUNTS = {
    "split1": [4000, 1500, 1500, 1500, 1500],
    "split2": [3500, 3500, 1000, 1000, 1000],
    "split3": [2500, 2500, 2500, 1250, 1250],
    "split4": [2375, 2375, 2375, 2375, 500],
}
CIFAR10_JPEG_DIGESTS = {
    "balanced": "a095649fadaefe60bf5a113b1967eaeff31a1982920a426e0c728146d2dad955",
    "split1": "a473cec0b1c8cf0d21f2d7953fde682fd563d68970aef10c26b779e7da435ee2",
    "split2": "88f36a9141776c2339bb837bc3d13cc7bbca5585a302ee4011b589443479be9d",
    "split3": "847700304c14ff568d9915f452c9fd33ea65d970c8683f7e4d186867e33b5e44",
    "split4": "34a181238589423ca591ad3e87100d51a9b4bd10464ba5bb5b9abf759a3dc41e",
}
DIGITS_DIGESTS = {
    "balanced": "8e39a9153ed80eacafebe35cf1f7fb1f2d4e32d1e8840803ca091878f38dc951",
    "split1": "21520ae389170fcaade51e5838fca5ef5f7d7a30b7e3b500084ea491b42dd867",
    "split4": "dec284653cdd464869f46194a6dc57c60e3b1fe6e9b1c6c92d95931db1149e30",
}


@pytest.fixture
def train():
    labels = torch.tensor([0] * 8 + [1] * 6 + [2] * 4 + [3] * 2)[torch.randperm(20, generator=torch.manual_seed(0))]
    images = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1)
    return Dataset("animals", "digits", images, labels, CLASSES)


def test_random_order_is_pinned():
    assert random_order(8, 42).tolist() == [4, 1, 3, 6, 0, 7, 2, 5]
    assert random_order(8, 42, 0).tolist() == [5, 3, 7, 2, 1, 0, 4, 6]
    assert random_order(8, 42, 1).tolist() == [1, 7, 3, 5, 0, 2, 6, 4]


def test_a_draw_has_its_counts_and_no_image_twice(train):
    split = draw_split(train.labels, CLASSES, {"cow": 4, "ant": 3}, 1, "some")
    assert (split.name, split.classes, split.counts, split.seed) == ("some", ("cow", "ant"), (4, 3), 1)
    assert torch.bincount(train.labels[split.indices], minlength=4).tolist() == [3, 0, 4, 0]
    assert len(set(split.indices.tolist())) == 7
    assert split.indices.dtype == torch.int64
    assert split.ratio == pytest.approx(4 / 3)


def test_balanced_takes_every_image(train):
    split = draw_split(train.labels, CLASSES, None, 1)
    assert (split.name, split.classes, split.counts) == ("balanced", CLASSES, (8, 6, 4, 2))
    assert sorted(split.indices.tolist()) == list(range(20))


def test_the_seed_decides_the_draw_and_the_order_of_the_classes_does_not(train):
    first = draw_split(train.labels, CLASSES, {"ant": 4, "bee": 3}, 1)
    assert first.digest == draw_split(train.labels, CLASSES, {"bee": 3, "ant": 4}, 1).digest
    assert first.digest != draw_split(train.labels, CLASSES, {"ant": 4, "bee": 3}, 2).digest


def test_a_larger_count_keeps_the_images_of_a_smaller_one(train):
    small = draw_split(train.labels, CLASSES, {"ant": 2, "bee": 5}, 1)
    large = draw_split(train.labels, CLASSES, {"ant": 7, "bee": 5}, 1)
    assert set(small.indices.tolist()) < set(large.indices.tolist())


def test_a_split_comes_back_as_it_was_saved(train, tmp_path):
    split = draw_split(train.labels, CLASSES, {"ant": 6, "bee": 3}, 1, "split1")
    split.save(tmp_path / "split1.json")
    loaded = Split.load(tmp_path / "split1.json")
    assert replace(loaded, indices=None) == replace(split, indices=None)
    assert torch.equal(loaded.indices, split.indices)
    content = json.loads((tmp_path / "split1.json").read_text())
    assert list(content) == ["name", "classes", "counts", "ratio", "seed", "indices"]
    assert content["ratio"] == 2.0


@pytest.mark.parametrize("content", ["[]", "{}", '{"indices": ["a"]}', '{"indices": [1], "name": "x", "classes": 3}'])
def test_a_file_that_is_no_split_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match="x.json is no split"):
        Split.load(tmp_path / "x.json")


def test_select_gives_the_images_of_the_indices(train):
    split = draw_split(train.labels, CLASSES, {"dog": 2, "bee": 3}, 1)
    images, labels = split.select(train)
    assert images.flatten().tolist() == split.indices.tolist()
    assert torch.equal(labels, train.labels[split.indices])


@pytest.mark.parametrize(
    "other",
    [
        lambda data: replace(data, labels=data.labels.flip(0)),
        lambda data: replace(data, labels=data.labels[:5], images=data.images[:5]),
        lambda data: replace(data, classes=("axe", "bow", "cup", "dam")),
    ],
)
def test_select_refuses_other_data(train, other):
    split = draw_split(train.labels, CLASSES, {"ant": 5, "bee": 3}, 1, "split1")
    with pytest.raises(UserError, match="split split1 was drawn from other data than animals: run `dvc repro split`"):
        split.select(other(train))


@pytest.mark.parametrize(
    ("classes", "counts", "total", "seed", "message"),
    [
        (["ant", "dog"], [7, 3], 10, 1, "split split1: class dog is too small, it has 2 images and needs 3"),
        (["ant", "wolf"], [7, 3], 10, 1, "split split1: unknown class 'wolf'; the data has ant, bee, cow, dog"),
        (["ant", "bee"], [5, 4], 10, 1, "split split1: its counts sum to 9, split.total is 10"),
        (["ant", "bee"], [5, 4, 1], 10, 1, r"split split1 has 3 counts for 2 classes \(ant, bee\)"),
        (["bee", "ant"], [-1, 9], 8, 1, "split split1: -1 images of class bee; every count must be at least 1"),
        (["bee", "ant"], [0, 8], 8, 1, "split split1: 0 images of class bee; every count must be at least 1"),
        (["ant", "ant"], [5, 5], 10, 1, "split split1: a class is named twice in split.classes: ant, ant"),
        (["ant", "bee"], [5, 5], 10, -1, "seed -1 is negative"),
    ],
)
def test_a_split_that_cannot_be_drawn_says_which_and_why(train, classes, counts, total, seed, message):
    with pytest.raises(UserError, match=message) as error:
        draw_splits(train, classes, {"split1": counts}, total, seed)
    assert "\n" not in str(error.value)


def test_balanced_cannot_be_redefined(train):
    with pytest.raises(UserError, match="split balanced is always every image of every class"):
        draw_splits(train, ["ant"], {"balanced": [3]}, 3, 1)


@pytest.mark.parametrize(
    ("rho", "counts", "total"),
    [
        (10, [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500], 20_431),
        (100, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50], 12_406),
    ],
)
def test_long_tails_are_the_fields(rho, counts, total):
    """The counts of CIFAR-10-LT that Cao et al. and UTLO train on."""
    assert long_tailed_counts(5000, 10, rho) == counts and sum(counts) == total


def test_a_long_tailed_split_has_all_classes_and_is_measured_against_all_images(train):
    labels = torch.arange(40) % 4
    balanced = Dataset("animals", "digits", torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1), labels, CLASSES)
    whole, tail = draw_splits(balanced, [], {}, 0, 1, {"lt8": 8.0})
    assert (tail.name, tail.classes, tail.counts, tail.rho) == ("lt8", CLASSES, (10, 5, 2, 1), 8.0)
    assert tail.measured_against(balanced).digest == whole.measured_against(balanced).digest == whole.digest


def test_a_long_tailed_split_comes_back_as_it_was_saved(train, tmp_path):
    (_, tail) = draw_splits(train, [], {}, 0, 1, {"lt2": 2.0})
    tail.save(tmp_path / "lt2.json")
    assert Split.load(tmp_path / "lt2.json").rho == 2.0
    assert tail.counts == (2, 1, 1, 1)  # the scarcest class has two images


def test_balanced_is_no_long_tail(train):
    with pytest.raises(UserError, match="choose another name in split.long_tailed"):
        draw_splits(train, [], {}, 0, 1, {"balanced": 10.0})


def test_splits_of_the_embedded_digits_are_the_same_everywhere():
    counts = {"split1": [120, 45, 45, 45, 45], "split4": [100, 80, 60, 40, 20]}
    splits = draw_splits(fetch("digits-rgb")["train"], ["three", "five", "seven", "four", "two"], counts, 300, 42)
    assert {split.name: split.digest for split in splits} == DIGITS_DIGESTS


def test_splits_of_the_study_are_the_same_everywhere(mirror):
    labels = pyarrow.parquet.read_table(mirror / "cifar10/train.parquet", columns=["label"]).column("label").to_numpy()
    train = Dataset("cifar10-jpeg", "parquet", torch.empty(0), torch.tensor(labels), CIFAR10)
    splits = draw_splits(train, STUDY_CLASSES, STUDY_COUNTS, 10_000, 42)
    assert {split.name: split.digest for split in splits} == CIFAR10_JPEG_DIGESTS
    assert [round(split.ratio, 2) for split in splits] == [1.0, 2.67, 3.5, 2.0, 4.75]
    assert all(split.counts == tuple(STUDY_COUNTS[split.name]) for split in splits[1:])

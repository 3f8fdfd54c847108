import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from modescope.errors import UserError
from modescope.evaluation.features import extract_features
from modescope.evaluation.frechet import feature_sums
from modescope.evaluation.reference import REFERENCE, Reference, build_reference, load_reference, save_reference


@pytest.fixture
def reference(draw_images, pixel_judge, settings) -> Reference:
    images, labels = draw_images(400, [0.7, 0.2, 0.1, 0], seed=0)
    return build_reference("split1", images, labels, 4, [pixel_judge], settings)


def test_holds_sums_of_all_images_and_a_seeded_sample(reference, draw_images, pixel_judge, settings):
    images, labels = draw_images(400, [0.7, 0.2, 0.1, 0], seed=0)
    seen = extract_features(images, pixel_judge).features
    stored = reference.features["judge"]
    assert reference.class_counts.tolist() == torch.bincount(labels, minlength=4).tolist()
    assert reference.num_images == stored.sums.count == 400
    assert torch.equal(stored.sums.outer, feature_sums(seen).outer)
    rows = {tuple(row) for row in seen.tolist()}
    assert stored.sample.shape == (settings.prdc_samples, 8)
    assert all(tuple(row) in rows for row in stored.sample.tolist())
    assert torch.equal(stored.sample[:, :4].argmax(1), reference.sample_labels)
    other = build_reference("split1", images, labels, 4, [pixel_judge], settings.model_copy(update={"seed": 1}))
    assert not torch.equal(other.features["judge"].sample, stored.sample)


def test_comes_back_as_it_was_saved(reference, pixel_judge, tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        save_reference(reference, folder)
    assert (tmp_path / "a" / REFERENCE).read_bytes() == (tmp_path / "b" / REFERENCE).read_bytes()
    loaded = load_reference(tmp_path / "a", [pixel_judge])
    stored, expected = loaded.features["judge"], reference.features["judge"]
    assert (loaded.split, stored.sums.count, stored.identity) == ("split1", 400, "pixels")
    assert torch.equal(loaded.class_counts, reference.class_counts)
    assert loaded.sample_labels.dtype == torch.int64 and torch.equal(loaded.sample_labels, reference.sample_labels)
    for got, wanted in (
        (stored.sums.total, expected.sums.total),
        (stored.sums.outer, expected.sums.outer),
        (stored.sample, expected.sample),
    ):
        assert got.dtype == wanted.dtype and torch.equal(got, wanted)


def test_every_extractor_stores_the_same_images(draw_images, pixel_judge, settings):
    other = type("Other", (type(pixel_judge),), {"name": "inception", "suffix": ""})()
    reference = build_reference(
        "split1", *draw_images(400, [0.7, 0.2, 0.1, 0], seed=0), 4, [pixel_judge, other], settings
    )
    assert torch.equal(reference.features["judge"].sample, reference.features["inception"].sample)


def test_a_file_from_before_labels_were_stored_is_refused(reference, pixel_judge, tmp_path):
    save_reference(reference, tmp_path)
    with safe_open(tmp_path / REFERENCE, framework="pt") as file:
        kept, about = {name: file.get_tensor(name) for name in file.keys() if name != "sample_labels"}, file.metadata()
    save_file(kept, tmp_path / REFERENCE, about)
    with pytest.raises(
        UserError, match="is no reference set .*sample_labels.*: delete it and run `dvc repro reference`"
    ):
        load_reference(tmp_path, [pixel_judge])


@pytest.mark.parametrize(("attribute", "value"), [("identity", "retrained"), ("name", "inception")])
def test_another_extractor_is_refused(reference, pixel_judge, tmp_path, attribute, value):
    save_reference(reference, tmp_path)
    setattr(pixel_judge, attribute, value)
    with pytest.raises(UserError, match=f"was not made with this {pixel_judge.name}: run `dvc repro reference`"):
        load_reference(tmp_path, [pixel_judge])


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is missing"), (b"not a tensor", "is no reference set"), (b"", "is no reference set")],
)
def test_missing_or_damaged_files(pixel_judge, tmp_path, content, message):
    if content is not None:
        (tmp_path / REFERENCE).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_reference(tmp_path, [pixel_judge])

"""Weights on disk are finite, and those that run.json names."""

import json

import pytest
import torch

from modescope.errors import UserError
from modescope.files import sha256, write_json
from modescope.models.weights import load_weights, save_weights


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_are_not_kept(value, tmp_path):
    weights = {"generator.first": torch.zeros(3), "generator.last": torch.tensor([0.0, value])}
    with pytest.raises(UserError, match=r"training diverged: generator\.last is not finite"):
        save_weights(weights, tmp_path)
    assert not any(tmp_path.iterdir())


def test_whole_numbers_count_as_finite(tmp_path):
    save_weights({"num_batches_tracked": torch.tensor(3), "weight": torch.ones(2)}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.fixture
def kept(tmp_path):
    """The weights of a finished run."""
    save_weights({"weight": torch.arange(3.0)}, tmp_path)
    path = tmp_path / "model.safetensors"
    write_json(tmp_path / "run.json", {"params": {}, "weights_sha256": sha256(path)})
    return path


def test_weights_are_those_that_run_json_names(kept):
    assert load_weights(kept)["weight"].tolist() == [0, 1, 2]
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1  # 2.0 becomes 128.0, and nothing else of the file notices
    kept.write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors is not the file that .*run.json names .*`dvc checkout`"):
        load_weights(kept)


def test_weights_without_a_record_are_taken_as_they_are(kept):
    (kept.parent / "run.json").unlink()
    assert load_weights(kept)["weight"].tolist() == [0, 1, 2]


HUGE = json.dumps({"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\xff" * 100, b"\2" + bytes(7) + b"{}", len(HUGE).to_bytes(8, "little") + HUGE]
)
def test_what_holds_no_weights_is_refused_in_one_line(kept, content):
    (kept.parent / "run.json").unlink()
    kept.write_bytes(content) if len(content) != 10 else (kept.unlink(), kept.mkdir())
    with pytest.raises(UserError, match="holds no weights|is missing") as error:
        load_weights(kept)
    assert "\n" not in str(error.value)

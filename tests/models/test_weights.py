"""Weights on disk are finite."""

import pytest
import torch

from modescope.errors import UserError
from modescope.models.weights import save_weights


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_are_not_kept(value, tmp_path):
    weights = {"generator.first": torch.zeros(3), "generator.last": torch.tensor([0.0, value])}
    with pytest.raises(UserError, match=r"training diverged: generator\.last is not finite"):
        save_weights(weights, tmp_path)
    assert not any(tmp_path.iterdir())


def test_whole_numbers_count_as_finite(tmp_path):
    save_weights({"num_batches_tracked": torch.tensor(3), "weight": torch.ones(2)}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]

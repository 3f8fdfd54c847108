"""A page of small untrained networks."""

import pytest
import torch
from torch import nn

from modescope.data.prepared import Dataset, save_prepared
from modescope.data.sources import fetch
from modescope.files import write_json
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.stages import game
from small_runs import CLASSES, write_run

WIDTHS = [3, 2, 5, 6]  # rows that are no multiples of what the page computes at a time


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return fetch("digits")["test"]


@pytest.fixture
def page(tmp_path, monkeypatch, digits):
    """Writes the page of a small run and a small judge, untrained; returns the file."""
    monkeypatch.chdir(tmp_path)
    save_prepared(digits, tmp_path / "data" / "grey" / "test.safetensors", "test")
    judge = tmp_path / "models" / "classifiers" / "grey-judge"
    write_judge(judge)

    def write(run: str = "cgan-ours"):
        out = tmp_path / "reports" / "game.html"
        game.main(write_run(run), judge, tmp_path / "data" / "grey", out)
        return out

    return write


def write_judge(folder) -> None:
    torch.manual_seed(1)
    judge = build_classifier("digit-cnn", WIDTHS, 10, 1, "judge")
    judge.temperature.fill_(0.7)
    for layer in judge.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.normal_()  # below 0, too: pooling comes first
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 1.5)
    save_weights(judge.state_dict(), folder)
    settings = {"network": "digit-cnn", "widths": WIDTHS, "role": "judge"}
    info = {"key": "00000000000000bb", "study": "classifiers", "run": "grey-judge", "model": "digit-cnn"}
    info |= {"status": "finished", "params": {"classifiers": {"grey-judge": settings}}, "data": {"classes": CLASSES}}
    write_json(folder / "run.json", info)

"""The game in Chromium: played by scripted strokes, its networks held against torch's."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chromium import in_chromium
from modescope.browser.networks import LEVELS, quantise
from modescope.data.prepared import load_prepared
from modescope.evaluation.loaders import load_sampler
from modescope.game.page import JUDGE_LEVELS
from modescope.models.classifiers import load_judge

SCRIPT, REPOSITORY = Path(__file__).with_name("game.mjs"), Path(__file__).parents[2]
PAGE, LOOK = REPOSITORY / "reports" / "game.html", REPOSITORY / "tests" / "report" / "browser.mjs"
JUDGE = Path("models/classifiers/grey-judge")


@pytest.fixture(scope="module")
def found():
    """What happened on the committed page."""
    return in_chromium(SCRIPT, PAGE)


def test_strokes_win_and_lose(found):
    """A straight 1 is nearly as good as the generator's, sometimes better; a scribble is never."""
    result = found["play"]["result"]
    margins = [each["yours"]["log_odds"] - each["theirs"]["log_odds"] for each in result["rounds"]]
    assert len(margins) == 10 and max(margins[1::2]) < -5 and max(margins[::2]) > 0
    assert all(each["digit"] == 1 for each in result["rounds"]) and result["seconds"] == 0.5
    assert all(each["yours"]["read"] == 1 for each in result["rounds"][::2])
    won = sum(margin > 0 for margin in margins)
    assert 0 < won < 6 and f"you won {won} of 10 rounds" in found["play"]["said"]
    assert f"You {won} : {10 - won} generator" in found["play"]["score"] and len(found["play"]["rows"]) == 10


def test_no_request_leaves_and_the_page_is_small(found):
    assert found["requests"] == [] and found["errors"] == []
    assert PAGE.stat().st_size <= 1_500_000


def test_a_round_is_quick(found):
    """50 ms on a core that is free; the median, and thrice the time, as tests share theirs."""
    assert sorted(found["play"]["took"])[5] <= 150


def test_it_is_played_by_keys_alone(found):
    assert found["keys"]["read"] == 1


def test_a_narrow_window_scrolls_nowhere(found):
    width, window = found["narrow"]
    assert width <= window == 360


def test_a_drawing_is_normalised_wherever_it_was_drawn(found):
    large, small, nothing, dot = (torch.tensor(pixels).view(28, 28) for pixels in found["normalised"])
    rows = large.any(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 in (20, 21)
    assert (large - small).abs().max() <= 2 and not nothing.any() and 2 <= dot.any(1).sum() <= 4
    centre = (large.sum(1) * (torch.arange(28) + 0.5)).sum() / large.sum()
    assert centre == pytest.approx(14.5, abs=0.2)


def test_nothing_is_wrong_with_its_layout():
    """At four widths, light and dark, and by axe-core."""
    assert in_chromium(LOOK, PAGE) == {str(PAGE): []}


def rounded(network: nn.Module, levels: int) -> nn.Module:
    """A copy with the weights that the page has."""
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            rows, scale = quantise(layer.weight.detach(), levels)
            layer.weight.data = (rows * scale[:, None]).view_as(layer.weight)
    return copied


def in_browser(page: Path, folder: Path, z: Tensor, labels: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Images (N, 1, H, W) that the page's generator draws, and logits (M, K) that its judge gives."""
    given = {"z": z.tolist(), "labels": labels.tolist(), "images": images.flatten(1).tolist()}
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    found = in_chromium(SCRIPT, page, folder / "given.json")
    assert found["errors"] == []
    side = images.shape[-1]
    return torch.tensor(found["drawn"]).view(-1, 1, side, side), torch.tensor(found["logits"])


@torch.no_grad()
def test_the_page_computes_what_torch_computes_on_rounded_weights(page, tmp_path, digits):
    file = page()
    generator, judge = load_sampler(Path("models/cgan/cgan-ours")).generator, load_judge(JUDGE)
    z, labels, images = torch.randn(12, 6), torch.arange(12) % 10, digits.images[:12]
    drawn, logits = in_browser(file, tmp_path, z, labels, images)
    assert torch.allclose(drawn, rounded(generator, LEVELS)(z, labels), atol=1e-4)
    assert torch.allclose(logits, rounded(judge, JUDGE_LEVELS)(images / 255), atol=1e-3)
    assert drawn.std() > 0.1 and logits.std() > 0.01


@torch.no_grad()
def test_the_committed_page_judges_as_the_trained_judge_does(tmp_path):
    """Logits within 0.5, probabilities within 0.05, classes all the same; where the networks have been trained here."""
    models = [REPOSITORY / JUDGE, REPOSITORY / "models" / "cgan" / "cgan-ours"]
    if not all((folder / "model.safetensors").exists() for folder in models):
        pytest.skip("needs the trained networks of the profile standard")
    if "mnist" not in (REPOSITORY / "models" / "cgan" / "cgan-ours" / "run.json").read_text(encoding="utf-8"):
        pytest.skip("the networks are another profile's")
    judge, sampler = load_judge(models[0]), load_sampler(models[1])
    test = load_prepared(REPOSITORY / "data" / "grey" / "test.safetensors").images[:100]
    z, labels = torch.randn(50, sampler.generator.latent_dim), torch.arange(50) % 10
    drawn, logits = in_browser(PAGE, tmp_path, z, labels, test)
    wanted = judge(test / 255)
    assert (logits - wanted).abs().max() < 0.5 and torch.equal(logits.argmax(1), wanted.argmax(1))
    assert (logits.softmax(1) - wanted.softmax(1)).abs().max() < 0.05
    assert ((drawn - sampler.generator(z, labels)) * 127.5).abs().mean() < 0.5

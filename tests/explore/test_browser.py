"""The page of a generator in Chromium: its networks held against torch's, and where sliders and clicks lead."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chromium import in_chromium
from modescope.evaluation.paths import mixed_embeddings, spherical
from modescope.evaluation.samplers import GeneratorSampler
from modescope.explore.page import to_html
from modescope.training.priors import MixturePrior
from small_explorers import KINDS, info, small_sampler

SCRIPT, REPOSITORY = Path(__file__).with_name("explore.mjs"), Path(__file__).parents[2]
LOOK = REPOSITORY / "tests" / "report" / "browser.mjs"
NAMES = ["zero", "</script><b>", "猫と犬", "قطة", "a-name-that-is-longer-than-any-tile-is-wide", *"fghij"]
SHARES = torch.tensor([0.0, 0.25, 1.0])
LABELS, OTHERS = torch.tensor([3, 1, 9]), torch.tensor([3, 8, 0])


@torch.no_grad()
def wanted(sampler: GeneratorSampler, z: Tensor) -> Tensor:
    """What torch draws of normal noise, the last of `LABELS` mixed with `OTHERS`."""
    if isinstance(sampler.prior, MixturePrior):
        means = sampler.prior.means
        z = torch.lerp(means[LABELS], means[OTHERS], SHARES[:, None]) + sampler.prior.variance**0.5 * z
    if not sampler.conditional:
        return sampler.generator(z)
    with mixed_embeddings(sampler.generator, OTHERS, SHARES):
        return sampler.generator(z, LABELS)


def test_a_page_draws_what_torch_draws_whatever_the_generator(tmp_path):
    """Weights are such that int8 holds them exactly."""
    cases, images = [], []
    mix = [[[a, 1 - s], [b, s]] for a, b, s in zip(LABELS.tolist(), OTHERS.tolist(), SHARES.tolist(), strict=True)]
    for kind in KINDS:
        found, page = small_sampler(kind, tmp_path), tmp_path / f"{kind}.html"
        page.write_text(to_html(found, info(kind)), encoding="utf-8")
        z = torch.randn(3, found.generator.latent_dim)
        cases.append({"page": str(page), "z": z.tolist(), "mix": mix})
        images.append(wanted(found, z))
    (tmp_path / "given.json").write_text(json.dumps(cases), encoding="utf-8")
    found = in_chromium(SCRIPT, "networks", tmp_path / "given.json")
    assert found["errors"] == found["requests"] == []
    for kind, drawn, image in zip(KINDS, found["images"], images, strict=True):
        assert torch.allclose(torch.tensor(drawn).view_as(image), image, atol=1e-4), kind
        assert image.std() > 0.1 and (image.abs() < 0.99).double().mean() > 0.3, kind  # tanh hides nothing


@pytest.fixture
def page(tmp_path) -> Path:
    file = tmp_path / "explore.html"
    file.write_text(to_html(small_sampler("cgan-ours", tmp_path), info("cgan-ours", NAMES)), encoding="utf-8")
    return file


def test_where_sliders_and_clicks_lead(page):
    found = in_chromium(SCRIPT, "visit", page)
    start, moved, arrived = found["start"], found["moved"], found["arrived"]
    ends = [torch.tensor(moved[name])[None] for name in ("z", "other")]
    assert found["errors"] == found["requests"] == [] and found["width"] <= 360
    assert start["said"] == "zero" and start == found["again"]

    # A slider moves z along its direction alone, and every strip with it.
    apart = [after - before for before, after in zip(start["sliders"], moved["sliders"], strict=True)]
    assert apart == pytest.approx([0, 1, 0, 0, 0, 0], abs=0.11) and abs(apart[1]) > 0.8
    assert moved["image"] != start["image"] and moved["classes"] != start["classes"]
    assert moved["other"] == start["other"] and moved["path"][-1] == start["path"][-1]

    # The ends of a path are the images of its two z, what lies between is on the arc.
    for seen in (start, moved, found["another"], found["end"]):
        assert seen["path"][0] == seen["image"] == seen["classes"][0] and len(set(seen["path"])) == 9
    assert torch.allclose(torch.tensor(found["halfway"]["z"]), spherical(*ends, points=9)[0, 4], atol=1e-5)
    assert found["halfway"]["image"] == moved["path"][4]
    assert arrived["z"] == moved["other"] and arrived["image"] == moved["path"][-1]
    assert found["another"]["z"] != arrived["z"] and found["end"]["z"] == found["another"]["z"]
    assert found["end"]["path"][0] == found["another"]["path"][0] and found["end"]["other"] != arrived["other"]

    # A label changes while z stays; between two labels lie both.
    chosen, mixed = found["chosen"], found["mixed"]
    assert chosen["z"] == mixed["z"] == found["end"]["z"] and chosen["said"] == "猫と犬"
    assert chosen["image"] == found["end"]["classes"][2] and chosen["path"] != found["end"]["path"]
    assert mixed["mix"] == [[0, 0.5], [1, 0.5]] and mixed["said"] == "50 % zero, 50 % </script><b>"
    assert [mixed["between"][end] for end in (0, -1)] == mixed["classes"][:2] and len(set(mixed["between"])) == 9
    assert found["pressed"] == 0


def test_nothing_is_wrong_with_its_layout(page):
    """At four widths, light and dark, and by axe-core."""
    assert in_chromium(LOOK, page) == {str(page): []}


@pytest.mark.parametrize("study", ["cgan", "imbalance", "two-stage"])
def test_a_committed_page_is_small_and_quick(study):
    """100 ms an image on a core that is free; thrice the time, as tests share theirs."""
    file = REPOSITORY / "reports" / study / "explore.html"
    if not file.exists():
        pytest.skip("needs the pages of the profile standard")
    found = in_chromium(SCRIPT, "visit", file)
    assert file.stat().st_size <= 1_500_000 and found["took"] <= 300
    assert found["errors"] == found["requests"] == []

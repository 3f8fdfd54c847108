"""The game's page: what stands in it, and how weights and drawings are made ready for it."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from modescope.browser.networks import Packed, quantise
from modescope.data.prepared import Dataset, save_prepared
from modescope.errors import UserError
from modescope.game.page import normalisation, real_digits


def embedded(html: str, name: str) -> str:
    return re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', html)[1]


def unpacked(html: str, name: str) -> bytes:
    return zlib.decompress(base64.b64decode(embedded(html, name)))


def test_a_weight_is_off_by_half_a_step_of_its_row_at_most():
    weight = torch.randn(5, 3, 3, 3) * torch.tensor([1e-6, 0.01, 1, 100, 0]).view(-1, 1, 1, 1)
    for levels in (127, 15):
        rows, scale = quantise(weight, levels)
        assert rows.dtype == torch.int8 and rows.shape == (5, 27) and rows.abs().max() == levels
        apart = (rows * scale[:, None] - weight.flatten(1)).abs()
        assert (apart <= scale[:, None] * 0.501).all() and not apart[4].any()


def test_a_layer_that_the_page_does_not_know_is_refused():
    for layer in (nn.Sigmoid(), nn.Conv2d(1, 1, 5, padding=2), nn.Conv2d(1, 1, 3, stride=2, padding=1)):
        with pytest.raises(UserError, match="name a generator and a judge of study 3"):
            Packed().add([layer])


def test_the_page_holds_both_networks_and_real_digits(page, digits):
    html = page().read_text(encoding="utf-8")
    facts = json.loads(embedded(html, "facts"))
    steps = facts["generator"]["layers"] + facts["judge"]["layers"]
    weights = sum(step["rows"] * step["depth"] for step in steps if "rows" in step)
    assert len(unpacked(html, "networks")) == 4 * facts["numbers"] + weights
    real = np.frombuffer(unpacked(html, "digits"), np.uint8).reshape(-1, 1, 28, 28)
    pixels, labels = real_digits(digits)
    assert np.array_equal(real, pixels.numpy()) and facts["real"] == labels.tolist()
    assert set(facts["real"]) == set(range(10)) and facts["glyphs"] == list("0123456789")
    assert facts["runs"]["judge"]["key"] == "00000000000000bb" and "shows how things work" not in html
    assert 'role="note">Demo' in html


def test_the_page_asks_for_nothing(page):
    html = page().read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|<link|<iframe|src=\"", html)


def test_same_networks_give_the_same_bytes(page):
    assert page().read_bytes() == page().read_bytes()


@pytest.mark.parametrize("run", ["dcgan-bce", "gan-split1"])
def test_a_generator_that_draws_no_digit_asked_for_is_refused(page, run):
    with pytest.raises(UserError, match=f"{run} draws no digit that is asked for"):
        page(run)


def test_a_class_name_cannot_end_the_script(page, digits, tmp_path):
    names = ("</script><b>", *digits.classes[1:])
    page()
    odd = Dataset("digits", "digits", digits.images, digits.labels, names)
    save_prepared(odd, tmp_path / "data" / "grey" / "test.safetensors", "test")
    html = page().read_text(encoding="utf-8")
    assert "</script><b>" not in html and json.loads(embedded(html, "facts"))["names"][0] == "</script><b>"


def test_drawings_are_normalised_as_the_images_were():
    """A bar of 3 x 20 pixels whose centre is the images' own."""
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    images[:, 5:25, 12:15] = 255
    found = normalisation(images)
    assert found["box"] == 20 and found["centre"] == [13.5, 15.0] and 2.4 < found["width"] < 3.2

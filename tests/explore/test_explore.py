"""The page of a generator, inside: its directions, and what stands in it."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from modescope.browser.networks import as_convolution
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.explore.directions import principal_directions
from modescope.explore.page import to_html
from small_explorers import info, small_sampler
from small_runs import write_run


@torch.no_grad()
def test_a_transposed_convolution_is_one_whose_pixels_are_shuffled():
    layer, maps = nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1), torch.randn(2, 3, 7, 7)
    kernels, biases = as_convolution(layer)
    convolved = nn.functional.conv2d(maps, kernels, biases, padding=1)
    assert torch.allclose(nn.functional.pixel_shuffle(convolved, 2), layer(maps), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["cgan-ours", "gan-ours-split1", "stage2-b-ff"])
def test_no_direction_moves_the_first_layer_more_than_the_principal_ones(tmp_path, kind):
    generator = small_sampler(kind, tmp_path).generator
    directions, shares = principal_directions(generator, 6)
    assert torch.allclose(directions @ directions.T, torch.eye(6, dtype=torch.double), atol=1e-9)
    first = next(layer for layer in generator.modules() if isinstance(layer, nn.Linear))
    weight = first.weight[:, : generator.latent_dim].double()
    moved = (directions @ weight.T).norm(dim=1)
    others = nn.functional.normalize(torch.randn(1000, generator.latent_dim, dtype=torch.double))
    assert (moved.diff() <= 1e-9).all() and (others @ weight.T).norm(dim=1).max() <= moved[0]
    assert torch.allclose(shares, moved.square() / weight.square().sum())


@torch.no_grad()
def test_directions_of_a_z_that_labels_multiply_are_those_of_all_labels(tmp_path):
    generator = small_sampler("multiply", tmp_path).generator
    directions, shares = principal_directions(generator, 6)
    stacked = torch.cat([generator.layers[0].weight * code for code in generator.embedding.weight]).double()
    _, sizes, wanted = torch.linalg.svd(stacked, full_matrices=False)
    assert torch.allclose((directions * wanted[:6]).sum(1).abs(), torch.ones(6, dtype=torch.double), atol=1e-6)
    assert torch.allclose(shares, sizes[:6].square() / sizes.square().sum())


def test_the_page_asks_for_nothing_and_its_bytes_follow_from_the_networks(tmp_path):
    html = to_html(small_sampler("cgan-ours", tmp_path), info("cgan-ours"))
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|<link|<iframe|src=\"", html)
    assert html == to_html(small_sampler("cgan-ours", tmp_path), info("cgan-ours")) and 'href="index.html"' in html


def test_a_class_name_cannot_end_the_script(tmp_path):
    html = to_html(small_sampler("cgan-ours", tmp_path), info("cgan-ours", ["</script><b>", *"abcdefghi"]))
    assert "</script><b>" not in html and "&lt;/script&gt;&lt;b&gt;</option>" in html


def test_a_generator_without_labels_has_no_strip_of_classes(tmp_path):
    html = to_html(small_sampler("dcgan-bce", tmp_path), info("dcgan-bce"))
    assert 'id="path"' in html and 'id="classes"' not in html and 'id="between"' not in html


def test_labels_that_are_never_drawn_are_left_out(tmp_path):
    found = small_sampler("gan-ours-split1", tmp_path)
    found.prior.class_share = torch.tensor([0.5, 0, 0.5] + [0] * 7)
    html = to_html(found, info("gan-ours-split1"))
    assert re.findall(r"<option[^>]*>(\w+)", html) == ["zero", "two"] * 2


def test_a_run_that_no_page_can_run_is_refused(tmp_path):
    adapted = load_sampler(write_run("stage2-d-conv", tmp_path))
    with pytest.raises(UserError, match="in inside.explore a run without a convolutional adapter"):
        to_html(adapted, info("stage2-d-conv"))
    with pytest.raises(UserError, match="vae-balanced, which has no generator"):
        to_html(SimpleNamespace(num_classes=None), info("vae-balanced"))

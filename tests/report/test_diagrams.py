"""Diagrams: the boxes say what the modules are, and nothing in a picture hides or cuts anything else."""

import io
from itertools import combinations

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.offsetbox import PaddedBox, TextArea
from matplotlib.transforms import Bbox
from PIL import Image
from torch import nn

from modescope.models.adapters import AdaptedGenerator, ConvOutput, FeedForwardOutput, InputLayer
from modescope.models.dcgan import DCGANDiscriminator, DCGANGenerator
from modescope.models.upsampling_gan import UpsamplingDiscriminator, UpsamplingGenerator
from modescope.report import diagrams, figures
from modescope.report.blocks import trace
from modescope.report.diagrams import KINDS, Flow, architecture_pictures, count, layers_picture, wrapped

LATENT = 10


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 32),
        nn.Unflatten(1, (8, 2, 2)),
        nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 3, (1, 3), padding=(0, 1)),
        nn.LeakyReLU(0.2),
        nn.Identity(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 1),
        nn.Flatten(0),
    )


def generators(ngf: int = 4, hidden: int = 4) -> dict[str, nn.Module]:
    def new() -> DCGANGenerator:
        return DCGANGenerator(LATENT, ngf)

    return {
        "A": new(),
        "B": AdaptedGenerator(new(), None, FeedForwardOutput(16, 3, 32)),
        "C": AdaptedGenerator(new(), None, ConvOutput(hidden, 3)),
        "D": AdaptedGenerator(new(), InputLayer(LATENT), FeedForwardOutput(16, 3, 32)),
    }


def pictures(ngf: int = 4, hidden: int = 4):
    return architecture_pictures(generators(ngf, hidden), DCGANDiscriminator(4), LATENT, "airbench96", 7_770_000)


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that is drawn, with the canvas it was drawn on."""
    canvases = []

    def keep(draw_figure, width, height):
        with figures.matplotlib.rc_context(figures.STYLE):
            figure = figures.Figure(figsize=(width, height), dpi=figures.DPI)
            canvases.append(FigureCanvasAgg(figure))
            draw_figure(figure)
            canvases[-1].draw()
        return b""

    monkeypatch.setattr(diagrams, "render", keep)
    return canvases


def test_boxes_of_a_small_network():
    blocks = trace(small_network(), torch.randn(2, 4))
    assert [(block.text, block.shape, block.parameters) for block in blocks] == [
        ("Linear 4→32 · Reshape", (8, 2, 2), 4 * 32 + 32),
        ("ConvT 8→6 k4 s2 p1 · BN · ReLU", (6, 4, 4), 8 * 6 * 16 + 6 + 12),
        ("Conv 6→3 k1×3 p0×1 · LReLU 0.2 · MaxPool2d · Flatten", (12,), 6 * 3 * 3 + 3),
        ("Linear 12→1 · Flatten", (), 13),
    ]
    assert all(block.trainable == block.parameters and block.part == "" for block in blocks)


@pytest.mark.parametrize("letter", "ABCD")
def test_totals_are_the_modules(letter):
    module = generators()[letter]
    blocks = trace(module, torch.randn(1, LATENT))
    assert sum(block.parameters for block in blocks) == sum(p.numel() for p in module.parameters())
    assert sum(block.trainable for block in blocks) == sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert blocks[-1].shape == (3, 32, 32)


def test_parts_of_an_adapted_generator():
    blocks = trace(generators()["D"], torch.randn(1, LATENT))
    assert [block.part for block in blocks] == ["before", *["generator"] * 5, "after", "after"]
    assert [block.trainable > 0 for block in blocks] == [block.part != "generator" for block in blocks]
    assert [block.text for block in blocks if block.part != "generator"] == [
        "Linear 10→10",
        "Flatten · Linear 3072→16 · ReLU",
        "Linear 16→3072 · Reshape · Tanh",
    ]


def test_a_partly_frozen_box():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    network[0].weight.requires_grad = False
    (block,) = trace(network, torch.randn(1, 3, 8, 8))
    assert (block.parameters, block.trainable) == (54 + 2 + 4, 2 + 4)


def test_fast_layers_are_named_by_what_they_stand_for():
    texts = [block.text for block in trace(DCGANGenerator(LATENT, 4), torch.randn(1, LATENT))]
    assert texts[1] == "ConvT 32→16 k4 s2 p1 · BN · ReLU"
    fast = type("FastConvTranspose2d", (nn.ConvTranspose2d,), {})(3, 2, 4, stride=2, padding=1)
    assert trace(nn.Sequential(fast, nn.Tanh()), torch.randn(1, 3, 4, 4))[0].text == "ConvT 3→2 k4 s2 p1 · Tanh"
    generator, discriminator = UpsamplingGenerator(LATENT, 8, 0.78), UpsamplingDiscriminator(8, 0.25, (0.8, 0.8, 0.8))
    assert trace(generator, torch.randn(1, LATENT))[1].text == "Nearest ×2, Conv 8→8 k3 p1 · BN · ReLU"
    assert (
        trace(discriminator, torch.randn(1, 3, 32, 32))[1].text
        == "Conv 2→4 k3 s2 p1 · ZeroPad2d · BN · LReLU 0.25 · Dropout 0.25"
    )


@pytest.mark.parametrize("module", [nn.Tanh(), nn.Sequential(nn.Flatten(), nn.Tanh()), nn.Linear(4, 4), nn.Identity()])
def test_single_layers_and_networks_without_parameters(module):
    blocks = trace(module, torch.randn(2, 4))
    assert sum(block.parameters for block in blocks) == sum(p.numel() for p in module.parameters())
    assert len(blocks) == (0 if isinstance(module, nn.Identity) else 1)


def test_a_shared_layer_counts_once():
    shared = nn.Linear(4, 4)
    blocks = trace(nn.Sequential(shared, nn.ReLU(), shared), torch.randn(2, 4))
    assert [(block.text, block.parameters) for block in blocks] == [("Linear 4→4 · ReLU", 20), ("Linear 4→4", 0)]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.layer(x)


@pytest.mark.parametrize("network", [Residual(), nn.Sequential(Residual(), nn.Linear(4, 4))])
def test_what_is_no_chain_of_layers_is_refused(network):
    with pytest.raises(ValueError, match="no chain of layers"):
        trace(network, torch.randn(2, 4))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())


def test_trace_leaves_the_module_as_it_was():
    network = small_network().train()
    network[3].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trace(network, torch.randn(3, 4))
    assert [part.training for part in network] == [index != 3 for index in range(len(network))]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (0, "0"),
        (195, "195"),
        (999, "999"),
        (1000, "1 k"),
        (1920, "1.92 k"),
        (131_072, "131 k"),
        (999_400, "999 k"),
        (999_600, "1 M"),
        (3_576_195, "3.58 M"),
    ],
)
def test_count(parameters, text):
    assert count(parameters) == text


def test_wrapped_puts_settings_below_and_short_steps_together():
    assert wrapped(("ConvT 512→256 k4 s2 p1", "BN", "ReLU")) == "ConvT 512→256\nk4 s2 p1\nBN · ReLU"
    assert (
        wrapped(("Flatten", "Linear 4→1", "LReLU 0.25", "Dropout 0.25"))
        == "Flatten\nLinear 4→1\nLReLU 0.25\nDropout 0.25"
    )


def test_the_same_modules_give_the_same_bytes():
    first, second = pictures(), pictures()
    assert first == second
    assert [picture.name for picture in first] == ["dcgan", "architectures"]
    for picture in first:
        assert min(Image.open(io.BytesIO(picture.png)).size) > 300
        assert picture.caption.endswith(".") and picture.alt.endswith(".")


def texts_of(figure) -> list[str]:
    return [area.get_text() for area in figure.findobj(TextArea) if area.get_text()]


def test_the_overview_shows_what_every_architecture_trains(drawn):
    pictures()
    texts = texts_of(drawn[1].figure)
    for letter, module in generators().items():
        total = sum(p.numel() for p in module.parameters())
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        assert f"trains {count(trained)} of the {count(total)} parameters between z and x′" in texts, letter
    assert texts.count("input layer") == 1 and texts.count("output layer") == 3
    assert texts.count("guide C: airbench96") == 4 and texts.count("7.77 M · frozen") == 4
    inner = count(sum(p.numel() for p in DCGANGenerator(LATENT, 4).parameters()))
    assert texts.count(f"{inner} · frozen") == 3 and texts.count(f"{inner} · trained") == 1


def test_the_detailed_figure_shows_every_shape_and_the_totals(drawn):
    pictures()
    texts = texts_of(drawn[0].figure)
    for shape in ("10", "32×4×4", "16×8×8", "8×16×16", "4×32×32", "3×32×32", "4×16×16", "1"):
        assert shape in texts
    for title, module in (("Generator", DCGANGenerator(LATENT, 4)), ("Discriminator", DCGANDiscriminator(4))):
        assert f"{title}: {count(sum(p.numel() for p in module.parameters()))} parameters" in texts


def test_a_long_network_goes_on_in_the_next_row(drawn):
    network = nn.Sequential(*(nn.Linear(4, 4) for _ in range(8)))
    layers_picture([Flow("Long", "z", "x", (4,), trace(network, torch.randn(1, 4)))])
    renderer = drawn[0].get_renderer()
    boxes = [box.get_window_extent(renderer) for box in drawn[0].figure.findobj(PaddedBox)][: -len(KINDS)]
    assert len(boxes) == 8 and len({round(box.y0) for box in boxes}) == 2
    assert [texts_of(drawn[0].figure).count(name) for name in ("z", "x")] == [1, 1]


@pytest.mark.parametrize(("ngf", "hidden"), [(4, 4), (64, 256)])
def test_nothing_is_cut_hidden_or_too_small(drawn, ngf, hidden):
    pictures(ngf, hidden)
    layers_picture(
        [Flow("Plain", "z", "logit", (4,), trace(nn.Sequential(nn.Flatten(), nn.Tanh()), torch.randn(1, 4)))],
    )
    for canvas_ in drawn:
        figure, renderer = canvas_.figure, canvas_.get_renderer()
        areas = [area for area in figure.findobj(TextArea) if area.get_text()]
        texts = [area.get_children()[0] for area in areas]
        places = {text: text.get_window_extent(renderer) for text in texts}
        page = figure.bbox
        for text, place in places.items():
            assert text.get_fontsize() >= 7
            assert place.x0 > page.x0 + 5 and place.x1 < page.x1 - 5 and place.y0 > page.y0 and place.y1 < page.y1, text
        for one, other in combinations(texts, 2):
            crossing = Bbox.intersection(places[one], places[other])
            assert crossing is None or crossing.height < 4, (one, other)  # tall letters of neighbours, no ink
        boxes = [box.get_window_extent(renderer) for box in figure.findobj(PaddedBox)]
        for text, place in places.items():
            for box in boxes:
                inside = box.x0 < place.x0 and place.x1 < box.x1 and box.y0 < place.y0 and place.y1 < box.y1
                assert inside or not box.overlaps(place), text

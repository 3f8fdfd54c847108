"""Study 1's networks have the published shapes and sizes."""

import pytest
import torch
from torch import nn

from modescope.models.upsampling_gan import UpsamplingDiscriminator, UpsamplingGenerator


def textbook_generator():
    """The report's listing, layer by layer."""
    return nn.Sequential(
        nn.Linear(100, 128 * 8 * 8), nn.ReLU(), nn.Unflatten(1, (128, 8, 8)),
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


def test_generator_computes_the_published_listing():
    torch.manual_seed(0)
    ours, published = UpsamplingGenerator(100, 128, momentum=0.78), textbook_generator()
    for target, source in zip(published.parameters(), ours.parameters(), strict=True):
        target.data.copy_(source)
    z = torch.randn(4, 100)
    images = ours.eval()(z)
    assert images.shape == (4, 3, 32, 32) and images.abs().max() <= 1
    torch.testing.assert_close(images, published.eval()(z), atol=1e-5, rtol=1e-4)


def test_discriminator_has_the_published_layers():
    network = UpsamplingDiscriminator(128, dropout=0.25, momenta=[0.82, 0.82, 0.8])
    convolutions = [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (3, 32, 2),
        (32, 64, 2),
        (64, 128, 2),
        (128, 256, 1),
    ]
    assert [layer.momentum for layer in network.layers if isinstance(layer, nn.BatchNorm2d)] == [0.82, 0.82, 0.8]
    assert [layer.negative_slope for layer in network.layers if isinstance(layer, nn.LeakyReLU)] == [
        0.2,
        0.25,
        0.2,
        0.25,
    ]
    assert network.layers[-1].in_features == 256 * 5 * 5
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2,)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected z of shape \(N, 100\), got \(2, 99\)"):
        UpsamplingGenerator(100, 32, momentum=0.8)(torch.zeros(2, 99))
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 3, 32, 32\), got \(2, 1, 28, 28\)"):
        UpsamplingDiscriminator(32, 0.25, [0.8] * 3)(torch.zeros(2, 1, 28, 28))

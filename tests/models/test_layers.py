"""The faster layers compute what torch's layers compute."""

import pytest
import torch
from torch import nn

from modescope.models.layers import Dropout, UpsampleConv2d


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5)])
def test_upsample_conv_equals_upsample_then_conv(height, width, memory_format):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(6, 4, 3, padding=1)).double()
    ours = UpsampleConv2d(6, 4).double()
    ours.load_state_dict(plain[1].state_dict())
    images = torch.randn(2, 6, height, width, dtype=torch.double).to(memory_format=memory_format).requires_grad_()
    weights = torch.randn(2, 4, 2 * height, 2 * width, dtype=torch.double)
    expected, actual = plain(images), ours(images)
    torch.testing.assert_close(actual, expected)
    for ours_gradient, gradient in zip(
        torch.autograd.grad((actual * weights).sum(), [images, *ours.parameters()]),
        torch.autograd.grad((expected * weights).sum(), [images, *plain.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(ours_gradient, gradient)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_dropout_keeps_its_share_and_the_mean(p):
    torch.manual_seed(0)
    layer, ones = Dropout(p), torch.ones(16, 8, 50, 50).to(memory_format=torch.channels_last)
    dropped = layer(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert dropped[dropped != 0].unique().item() == pytest.approx(1 / (1 - p))
    neighbours = (dropped[..., 1:] == 0).float() * (dropped[..., :-1] == 0).float()
    assert neighbours.mean().item() == pytest.approx(p * p, abs=0.005)  # elements of one word are independent
    assert torch.equal(layer.eval()(ones), ones)


def test_dropout_gradient_is_its_mask():
    torch.manual_seed(0)
    ones = torch.ones(3, 7, requires_grad=True)
    dropped = Dropout(0.25)(ones)
    dropped.sum().backward()
    torch.testing.assert_close(ones.grad, dropped.detach())

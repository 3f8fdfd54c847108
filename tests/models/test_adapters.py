"""Stage 2's layers: sizes, shapes, the start as the identity, and a generator that stays as it is."""

import pytest
import torch
from torch.nn.functional import interpolate

from modescope.models.adapters import AdaptedGenerator, ConvOutput, FeedForwardOutput, InputLayer, adapt
from modescope.models.dcgan import DCGANGenerator
from small_gans import ADAPTED, config

PARTS = {
    "B": [None, FeedForwardOutput],
    "C": [None, ConvOutput],
    "D": [InputLayer, FeedForwardOutput],
    "D-conv": [InputLayer, ConvOutput],
}


def adapted(row, **changes):
    torch.manual_seed(0)
    settings = config(row, **changes)
    return adapt(DCGANGenerator(settings.latent_dim, settings.ngf), settings, channels=3, pixels=32)


def smooth_images(count, seed):
    """Random waves in [-1, 1]."""
    coarse = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return interpolate(coarse, (32, 32), mode="bicubic").tanh()


def sizes(module):
    return [parameter.numel() for parameter in module.parameters() if parameter.requires_grad]


def test_architecture_d_trains_as_many_parameters_as_the_report():
    whole = adapted("D", latent_dim=100, sft_input_dim=100, sft_ff_dim=128)
    assert sum(sizes(whole.before)) == 10_100 and sum(sizes(whole.after)) == 789_632
    assert sum(sizes(whole)) == 10_100 + 789_632


@pytest.mark.parametrize("row", ADAPTED)
def test_only_the_layers_that_are_asked_for_are_trained(row):
    whole = adapted(row)
    before, after = PARTS[row]
    assert isinstance(whole.before, before or torch.nn.Identity) and isinstance(whole.after, after)
    trained = {name for name, parameter in whole.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in whole.named_parameters() if name.startswith(("before.", "after."))}
    images = whole(100 * torch.randn(3, 10))
    assert images.shape == (3, 3, 32, 32) and images.abs().max() <= 1


def test_architecture_a_trains_the_generator_itself():
    whole = adapted("A")
    assert isinstance(whole, DCGANGenerator) and len(sizes(whole)) == len(list(whole.parameters()))


def test_the_convolutional_layer_goes_up_to_256_pixels_and_back():
    layer, shapes = ConvOutput(hidden=4, channels=3), []
    for convolution in list(layer)[::3]:
        convolution.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    layer(smooth_images(2, 0))
    assert shapes == [(4, 128, 128), (4, 256, 256), (2, 128, 128), (3, 32, 32)]


def test_the_input_layer_starts_as_the_identity():
    layer, z = InputLayer(6), torch.randn(5, 6)
    assert not torch.allclose(layer(z), z, atol=0.1)
    layer.start_as_identity()
    assert torch.equal(layer(z), z)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("make", [lambda: FeedForwardOutput(64, 3, 32), lambda: ConvOutput(4, 3)], ids=["ff", "conv"])
def test_an_output_layer_starts_as_nearly_the_identity(make, memory):
    """On images that it was not fitted to: 3% of their variance is lost at most, all of it by a random layer."""
    torch.manual_seed(0)
    layer, unseen = make().to(memory_format=memory), smooth_images(16, seed=2)

    @torch.no_grad()
    def lost():
        return ((layer.eval()(unseen) - unseen).square().mean() / unseen.var()).item()

    assert lost() > 0.8
    layer.start_as_identity(smooth_images(256, seed=1))
    assert lost() < 0.03


@pytest.mark.parametrize("row", ADAPTED)
def test_the_whole_starts_from_its_generators_images(row):
    """An untrained generator's images have no few components; still most of their variance is kept."""
    whole, z = adapted(row, ngf=8, sft_ff_dim=64, sft_conv_hidden=4), torch.randn(544, 10)
    fitted, unseen = z.split(512)

    @torch.no_grad()
    def lost():
        own = whole.generator(unseen)
        return ((whole.eval()(unseen) - own).square().mean() / own.var(dim=0).mean()).item()

    assert lost() > 10
    whole.start_as_identity(fitted)
    assert lost() < 0.2


def test_the_start_leaves_batchnorms_momentum_at_its_default():
    layer = ConvOutput(2, 3)
    layer.start_as_identity(smooth_images(4, 0))
    assert [norm.momentum for norm in layer if isinstance(norm, torch.nn.BatchNorm2d)] == [0.1] * 3


def test_the_generator_stays_in_eval_mode():
    whole = adapted("C")
    for mode in (True, False, True):
        assert whole.train(mode) is whole
        assert whole.training == whole.after.training == mode
        assert not any(module.training for module in whole.generator.modules())


def test_gradients_reach_what_stands_before_the_frozen_generator():
    whole = adapted("D")
    whole(torch.randn(4, 10)).square().mean().backward()
    assert whole.before.weight.grad.abs().sum() > 0 and isinstance(whole, AdaptedGenerator)
    assert all(parameter.grad is None for parameter in whole.generator.parameters())

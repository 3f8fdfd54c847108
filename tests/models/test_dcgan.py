"""Study 2's DCGAN: sizes, shapes, and what is refused."""

import pytest
import torch

from modescope.models.dcgan import DCGANDiscriminator, DCGANGenerator


@pytest.mark.parametrize(
    ("network", "count"), [(DCGANGenerator(100, 64), 3_581_443), (DCGANDiscriminator(64), 2_760_385)]
)
def test_as_many_parameters_as_the_reports_code(network, count):
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_range(channels):
    torch.manual_seed(0)
    generator, discriminator = DCGANGenerator(7, 2, channels), DCGANDiscriminator(2, channels)
    images = generator(100 * torch.randn(5, 7))
    assert images.shape == (5, channels, 32, 32) and images.abs().max() <= 1
    assert discriminator(images).shape == (5,) and discriminator(images[:1]).shape == (1,)


@pytest.mark.parametrize("shape", [(5, 8), (7,), (5, 7, 1)])
def test_another_z_is_refused(shape):
    with pytest.raises(ValueError, match=rf"expected z of shape \(N, 7\), got \({', '.join(map(str, shape))},?\)"):
        DCGANGenerator(7, 2)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 3, 28, 28), (2, 3, 32, 64), (3, 32, 32)])
def test_other_images_are_refused(shape):
    with pytest.raises(
        ValueError, match=rf"expected images of shape \(N, 3, 32, 32\), got \({', '.join(map(str, shape))}\)"
    ):
        DCGANDiscriminator(2)(torch.zeros(shape))

"""Our residual networks: shapes, labels, spectral normalisation and differentiable augmentation."""

import pytest
import torch

from modescope.models.diff_augment import DiffAugment, cut_out, translate
from modescope.models.layers import DownsampleConv2d
from modescope.models.residual_gan import ConditionalBatchNorm2d, ResidualDiscriminator, ResidualGenerator


def generator(num_classes=None, width=4, latent_dim=6, channels=3):
    torch.manual_seed(0)
    return ResidualGenerator(latent_dim, width, channels, num_classes)


def discriminator(num_classes=None, width=4, channels=3, diff_augment=False):
    torch.manual_seed(1)
    return ResidualDiscriminator(width, channels, num_classes, diff_augment)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("num_classes", [None, 5])
def test_shapes(channels, num_classes):
    labels = [] if num_classes is None else [torch.tensor([0, 4])]
    images = generator(num_classes, channels=channels)(torch.randn(2, 6), *labels)
    assert images.shape == (2, channels, 32, 32) and images.abs().max() <= 1
    logits = discriminator(num_classes, channels=channels)(images, *labels)
    assert logits.shape == (2,) and logits.dtype == torch.float32


@pytest.mark.parametrize("shape", [(2, 5), (6,), (2, 6, 1)])
def test_another_shape_of_z_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected z of shape \(N, 6\), got"):
        generator()(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 32, 32), (3, 32, 32)])
def test_another_shape_of_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 3, 32, 32\), got"):
        discriminator()(torch.zeros(shape))


@pytest.mark.parametrize("network", [generator, discriminator])
def test_labels_are_given_exactly_where_there_are_classes(network):
    inputs = torch.zeros(2, 6) if network is generator else torch.zeros(2, 3, 32, 32)
    with pytest.raises(ValueError, match="expected labels, got none"):
        network(5)(inputs)
    with pytest.raises(ValueError, match="expected no labels"):
        network()(inputs, torch.tensor([0, 1]))


def test_the_published_width_has_the_published_number_of_parameters():
    """SNGAN's networks for CIFAR-10: 256 and 128 channels, counted by hand from table 4 of Miyato et al. 2018."""
    conv, batch_norm = 256 * 256 * 9 + 256, 2 * 256
    block = 2 * conv + 2 * batch_norm + 256 * 256 + 256
    expected = (128 + 1) * 16 * 256 + 3 * block + batch_norm + 256 * 3 * 9 + 3
    assert sum(p.numel() for p in ResidualGenerator(128, 256).parameters()) == expected
    first = 3 * 128 * 9 + 128 + 128 * 128 * 9 + 128 + 3 * 128 + 128
    plain = 2 * (128 * 128 * 9 + 128)
    expected = first + (plain + 128 * 128 + 128) + 2 * plain + 129
    assert sum(p.numel() for p in ResidualDiscriminator(128).parameters()) == expected


@torch.no_grad()
def test_at_the_start_images_of_different_z_differ():
    images = generator(width=16)(torch.randn(64, 6))
    assert images.std(0).mean() > 0.5 * images.std()


@torch.no_grad()
def test_batch_norm_takes_gain_and_shift_of_the_label():
    norm, maps = ConditionalBatchNorm2d(2, num_classes=3), torch.randn(4, 2, 5, 5)
    plain = torch.nn.BatchNorm2d(2, affine=False)(maps)
    labels = torch.tensor([0, 1, 2, 1])
    torch.testing.assert_close(norm(maps, labels), plain)
    norm.gain.weight[1], norm.shift.weight[1] = torch.tensor([2.0, 3.0]), torch.tensor([-1.0, 1.0])
    changed = norm(maps, labels)
    expected = plain * torch.tensor([2.0, 3.0]).view(2, 1, 1) + torch.tensor([-1.0, 1.0]).view(2, 1, 1)
    torch.testing.assert_close(changed[[1, 3]], expected[[1, 3]])
    torch.testing.assert_close(changed[[0, 2]], plain[[0, 2]])


def test_both_networks_learn_from_their_labels():
    labels = torch.tensor([0, 2])
    images = generator(3)(torch.randn(2, 6), labels)
    discriminator(3)(images, labels).sum().backward()
    network = generator(3)
    network(torch.randn(2, 6), labels).sum().backward()
    gradient = network.blocks[0].norms[0].gain.weight.grad
    assert gradient[[0, 2]].abs().sum() > 0 and gradient[1].abs().sum() == 0


@torch.no_grad()
def test_the_projection_adds_the_label_times_the_hidden_sum():
    network, images = discriminator(3).eval(), torch.randn(2, 3, 32, 32)
    hidden = network.blocks(images).relu().sum((2, 3))
    logits = network(images, torch.tensor([2, 0])) - network.logit(hidden).squeeze(1)
    torch.testing.assert_close(logits, (network.projection.weight[[2, 0]] * hidden).sum(1))


def test_every_weight_of_the_discriminator_is_normalised_by_one_power_iteration_a_forward():
    network = discriminator(3)
    normalised = {
        name: module.parametrizations.weight[0]
        for name, module in network.named_modules()
        if hasattr(module, "parametrizations")
    }
    assert len(normalised) == 3 + 3 + 2 + 2 + 2  # of the four blocks, the logit and the projection
    layer = network.blocks[1].conv
    vector, weight = layer.parametrizations.weight[0]._u.clone(), layer.parametrizations.weight.original.detach()
    matrix = weight.flatten(1)
    left = matrix.T @ vector
    expected = matrix @ (left / left.norm())
    network(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))
    torch.testing.assert_close(layer.parametrizations.weight[0]._u, expected / expected.norm())
    network.eval()
    for name in ("blocks.0.last", "blocks.2.conv"):
        norm = torch.linalg.matrix_norm(network.get_submodule(name).weight.detach().flatten(1), 2)
        assert norm == pytest.approx(1, abs=0.1)


@torch.no_grad()
def test_a_downsampling_convolution_is_a_convolution_and_a_pooling():
    layer, maps = DownsampleConv2d(3, 5), torch.randn(2, 3, 8, 12)
    expected = torch.nn.functional.avg_pool2d(torch.nn.functional.conv2d(maps, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(maps), expected)


@torch.no_grad()
def test_translation_moves_whole_images_and_brings_in_zeros():
    torch.manual_seed(0)
    images = torch.rand(200, 3, 32, 32) + 1
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    seen = set()
    for moved, source in zip(translate(images), padded, strict=True):
        places = [
            (y, x) for y in range(9) for x in range(9) if torch.allclose(moved, source[:, y : y + 32, x : x + 32])
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert {y for y, _ in seen} == {x for _, x in seen} == set(range(9))


@torch.no_grad()
def test_cutout_takes_a_square_of_half_the_edge_that_may_leave_the_image():
    torch.manual_seed(0)
    cut = cut_out(torch.ones(300, 2, 32, 32)) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    heights, widths = (cut[:, 0].any(axis).sum(1) for axis in (2, 1))
    assert torch.equal(cut[:, 0].sum((1, 2)), heights * widths)
    assert {heights.max().item(), widths.max().item()} == {16} and heights.min() >= 8


def test_augmentation_passes_gradients_and_leaves_eval_mode_alone():
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    augment = DiffAugment()
    augment(images).sum().backward()
    assert set(images.grad.unique().tolist()) == {0.0, 1.0}
    assert augment.eval()(images) is images


@torch.no_grad()
def test_an_augmented_discriminator_sees_another_image_every_time():
    network, images = discriminator(diff_augment=True), torch.rand(8, 3, 32, 32)
    assert not torch.allclose(network(images), network(images), atol=1e-3)
    assert torch.equal(network.eval()(images), network(images))

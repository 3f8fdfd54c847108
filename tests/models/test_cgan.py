"""Study 3's networks: sizes, shapes, what is refused, where they start, and what a label does."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from modescope.models.cgan import (
    CganGenerator,
    Critic,
    SpectralDiscriminator,
    build_cgan_discriminator,
    build_cgan_generator,
)

LABELS = torch.tensor([0, 3, 3, 1, 2])
JUDGES = [lambda *rest: SpectralDiscriminator(2, 0.25, *rest), lambda *rest: Critic(2, *rest)]
judges = pytest.mark.parametrize("make_judge", JUDGES, ids=["spectral", "critic"])


def generator(num_classes=4, labels="multiply", channels=1):
    torch.manual_seed(0)
    return CganGenerator(6, 4, 0.8, channels, num_classes, labels)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def conv(channels_in, channels_out):
    return 9 * channels_in * channels_out + channels_out


def linear(size_in, size_out):
    return size_in * size_out + size_out


def body(*channels_in, width, hidden):
    """Two convolutions and two linear layers."""
    return (
        conv(sum(channels_in), width) + conv(width, 2 * width) + linear(2 * width * 7 * 7, hidden) + linear(hidden, 1)
    )


GENERATOR = linear(100, 128 * 7 * 7) + conv(128, 512) + 2 * 128 + conv(128, 256) + 2 * 64 + conv(64, 1)
NORMS = 2 * 64 * 14 * 14 + 2 * 128 * 7 * 7 + 2 * 512


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (CganGenerator(100, 128, 0.8), GENERATOR),
        (CganGenerator(100, 128, 0.8, num_classes=10), GENERATOR + 10 * 100),
        (CganGenerator(100, 128, 0.8, 1, 10, "concat"), GENERATOR + 10 * 100 + 100 * 128 * 7 * 7),
        (SpectralDiscriminator(32, 0.25), body(1, width=32, hidden=512)),
        (SpectralDiscriminator(32, 0.25, num_classes=10), body(1, 1, width=32, hidden=512) + 10 * 28 * 28),
        (SpectralDiscriminator(32, 0.25, 1, 10, "projection"), body(1, width=32, hidden=512) + 10 * 512),
        (Critic(64), body(1, width=64, hidden=512) + NORMS),
        (Critic(64, num_classes=10), body(1, 1, width=64, hidden=512) + NORMS + 10 * 28 * 28),
        (Critic(64, 1, 10, "projection"), body(1, width=64, hidden=512) + NORMS + 10 * 512),
    ],
)
def test_as_many_parameters_as_the_report_describes(network, count):
    assert size(network) == count


def test_the_counts_are_these():
    discriminator, critic = (body(1, 1, width=width, hidden=512) + 10 * 784 for width in (32, 64))
    assert (GENERATOR + 10 * 100, discriminator, critic + NORMS) == (1_520_937, 1_633_601, 3_333_857)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("num_classes", [4, None])
def test_shapes_and_range(channels, num_classes):
    labels = () if num_classes is None else (LABELS,)
    images = generator(num_classes, channels=channels)(1e4 * noise(5, 6), *labels)
    assert images.shape == (5, channels, 28, 28) and 0.01 < images.abs().max() <= 1
    for judge in (SpectralDiscriminator(2, 0.25, channels, num_classes), Critic(2, channels, num_classes)):
        assert judge(images, *labels).shape == (5,) and judge(images[:1], *(each[:1] for each in labels)).shape == (1,)


@pytest.mark.parametrize("shape", [(5, 7), (6,), (5, 6, 1)])
def test_another_z_is_refused(shape):
    with pytest.raises(ValueError, match=rf"expected z of shape \(N, 6\), got \({', '.join(map(str, shape))},?\)"):
        generator(None)(torch.zeros(shape))


@judges
@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 32, 32), (2, 1, 28, 56), (1, 28, 28)])
def test_other_images_are_refused(make_judge, shape):
    with pytest.raises(
        ValueError, match=rf"expected images of shape \(N, 1, 28, 28\), got \({', '.join(map(str, shape))}\)"
    ):
        make_judge()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("num_classes", "labels", "message"), [(4, None, "expected labels, got none"), (None, LABELS, "expected no labels")]
)
def test_labels_are_given_where_there_are_classes(num_classes, labels, message):
    images = torch.zeros(5, 1, 28, 28)
    for network, given in (
        (generator(num_classes), noise(5, 6)),
        (SpectralDiscriminator(2, 0.25, 1, num_classes), images),
        (Critic(2, 1, num_classes), images),
    ):
        with pytest.raises(ValueError, match=message):
            network(given, labels)


CODE = {  # report 2's code skips the generator's embedding and the layers under spectral normalisation
    "generator": (lambda init: CganGenerator(50, 32, 0.8, num_classes=10, initialization=init), "embedding"),
    "spectral": (lambda init: SpectralDiscriminator(16, 0.25, 1, 10, initialization=init), "original"),
    "critic": (lambda init: Critic(16, 1, 10), "nothing"),
    "projection": (lambda init: Critic(16, 1, 10, "projection"), "nothing"),
}


def deviations(network):
    """Standard deviation of every weight matrix's numbers; layer normalisation starts at 1."""
    matrices = {name: each for name, each in network.named_parameters() if each.ndim > 1}
    return {name: each.std().item() for name, each in matrices.items() if each.shape[1:] not in ((14, 14), (7, 7))}


@pytest.mark.parametrize(("build", "skipped"), CODE.values(), ids=CODE)
def test_weights_start_at_the_reports_deviation(build, skipped):
    """N(0, 0.02) everywhere in the text; its code has N(0, 1) and torch's default for what it skips (erratum 8)."""
    torch.manual_seed(0)
    assert all(std == pytest.approx(0.02, rel=0.25) for std in deviations(build("text")).values())
    for name, std in deviations(build("code")).items():
        assert (std == pytest.approx(0.02, rel=0.25)) == (skipped not in name), name


def test_the_codes_embedding_and_normalised_layers_start_at_torchs_default():
    torch.manual_seed(0)
    assert deviations(CODE["generator"][0]("code"))["embedding.weight"] == pytest.approx(1.0, rel=0.05)
    for name, weight in CODE["spectral"][0]("code").state_dict().items():
        if "original" in name:
            bound = weight[0].numel() ** -0.5  # U(-b, b) (He et al. 2015 with torch's a = sqrt(5))
            assert weight.abs().max() <= bound and weight.std() == pytest.approx(bound / 3**0.5, rel=0.1)


@torch.no_grad()
def test_different_z_differ_at_the_start_by_more_than_a_few_steps_of_training_move_all():
    """BatchNorm hides how small z times an embedding is, Adam does not: the first layer's bias moves by lr a step."""
    spread, lr = {}, 1e-4
    for init in ("code", "text"):
        torch.manual_seed(0)
        generator, labels = CODE["generator"][0](init), torch.zeros(512, dtype=torch.int64)
        spread[init] = generator.layers[0](torch.randn(512, 50) * generator.embedding(labels)).std(0).mean().item()
    plain = generator.layers[0](torch.randn(512, 50)).std(0).mean().item()
    assert spread["code"] == pytest.approx(plain, rel=0.5) and spread["code"] > 1000 * lr
    assert spread["text"] < 50 * lr  # all images are one after 50 steps


def test_batchnorm_starts_around_one_with_the_reports_momentum():
    torch.manual_seed(0)
    norms = [layer for layer in CganGenerator(6, 128, 0.8).modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [layer.momentum for layer in norms] == [0.8, 0.8]
    assert torch.cat([layer.weight - 1 for layer in norms]).std().item() == pytest.approx(0.02, rel=0.25)
    assert torch.cat([layer.weight for layer in norms]).mean().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("labels", ["map", "projection"])
def test_spectral_normalisation_starts_from_the_initial_weights(labels):
    """Of other weights the norm would be several times off; torch's own 15 rounds leave a few percent."""
    torch.manual_seed(0)
    network = SpectralDiscriminator(32, 0.25, 1, 10, labels).eval()
    layers = [layer for layer in network.modules() if hasattr(layer, "parametrizations")]
    assert len(layers) == 4 + (labels == "projection")
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]
    assert norms == pytest.approx([1.0] * len(layers), abs=0.1)


def test_more_passes_bring_the_spectral_norm_to_one():
    torch.manual_seed(0)
    network = SpectralDiscriminator(8, 0.25)
    for _ in range(200):
        network(torch.zeros(1, 1, 28, 28))
    norms = [
        torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        for layer in network.modules()
        if hasattr(layer, "parametrizations")
    ]
    assert norms == pytest.approx([1.0] * 4, abs=1e-3)


def test_a_shuffled_convolution_starts_with_equal_pixels_in_every_block():
    network = generator(None)
    shuffles = [index for index, layer in enumerate(network.layers) if isinstance(layer, nn.PixelShuffle)]
    assert len(shuffles) == 2
    for index in shuffles:
        convolution, shuffle = network.layers[index - 1 : index + 1]
        doubled = shuffle(convolution(noise(2, convolution.in_channels, 5, 5)))
        small = doubled[:, :, ::2, ::2]
        assert small.std() > 0.01 and len(small[0, :, 0, 0].unique()) == small.shape[1]
        torch.testing.assert_close(doubled, small.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("labels", ["multiply", "concat"])
def test_a_label_changes_the_image(labels):
    network, z = generator(labels=labels).eval(), noise(1, 6).expand(4, 6)
    nn.init.normal_(network.embedding.weight)
    images = network(z, torch.tensor([0, 1, 2, 0]))
    torch.testing.assert_close(images[3], images[0])
    assert min((images[i] - images[j]).abs().max() for i, j in ((0, 1), (0, 2), (1, 2))) > 1e-3 * images.abs().max()


def test_what_the_first_layer_is_given():
    """z times the label's embedding, or z and behind it the embedding."""
    z, seen = noise(5, 6), []
    for labels in ("multiply", "concat"):
        network = generator(labels=labels)
        network.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network(z, LABELS)
        code = network.embedding.weight[LABELS]
        torch.testing.assert_close(seen.pop(), z * code if labels == "multiply" else torch.cat([z, code], 1))


@pytest.mark.parametrize("labels", ["multiply", "concat"])
def test_an_embedding_starts_as_large_as_z(labels):
    torch.manual_seed(0)
    assert CganGenerator(100, 4, 0.8, 1, 10, labels).embedding.weight.std().item() == pytest.approx(1, rel=0.1)


@judges
def test_a_map_is_one_more_channel(make_judge):
    network, images, seen = make_judge(1, 4), noise(5, 1, 28, 28), []
    network.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(images, LABELS)
    assert torch.equal(seen[0], torch.cat([images, network.label_map.weight[LABELS].view(5, 1, 28, 28)], 1))


@judges
def test_a_projection_adds_the_inner_product_of_label_and_hidden_layer(make_judge):
    network, images = make_judge(1, 4, "projection").eval(), noise(5, 1, 28, 28)
    hidden = network.layers(images)
    expected = network.logit(hidden).squeeze(1) + torch.einsum("nh,nh->n", network.projection.weight[LABELS], hidden)
    torch.testing.assert_close(network(images, LABELS), expected)
    assert not torch.allclose(network(images, LABELS), network(images, (LABELS + 1) % 4), atol=1e-6)


@judges
def test_a_logit_depends_on_its_own_image_alone(make_judge):
    torch.manual_seed(0)
    network, images = make_judge(1, 4).eval(), noise(5, 1, 28, 28)
    logits = network(images, LABELS)
    torch.testing.assert_close(network(images[2:3], LABELS[2:3]), logits[2:3])
    assert len(logits.unique()) == 5


def test_a_critic_in_training_has_neither_noise_nor_statistics():
    """As the gradient penalty demands."""
    network, images = Critic(2), noise(5, 1, 28, 28)
    torch.testing.assert_close(network.train()(images)[1:2], network.eval()(images[1:2]))


def test_dropout_is_where_the_report_has_it():
    layers = SpectralDiscriminator(2, 0.25).layers
    places = [index for index, layer in enumerate(layers) if isinstance(layer, nn.Dropout)]
    assert [layers[index].p for index in places] == [0.25] * 3
    assert [type(layers[index - 1]) for index in places] == [nn.LeakyReLU, nn.LeakyReLU, nn.ReLU]


SETTINGS = {"latent_dim": 6, "generator_width": 4, "generator_momentum": 0.8, "generator_labels": "concat"}
SETTINGS |= {"discriminator_width": 2, "critic_width": 3, "dropout": 0.1, "discriminator_labels": "projection"}
SETTINGS |= {"initialization": "code"}


@pytest.mark.parametrize(("name", "network", "width"), [("spectral", SpectralDiscriminator, 2), ("critic", Critic, 3)])
def test_the_settings_choose_the_networks(name, network, width):
    settings = SimpleNamespace(discriminator=name, **SETTINGS)
    judge, maker = build_cgan_discriminator(settings, 3, 4), build_cgan_generator(settings, 3, 4)
    assert type(judge) is network and judge.layers[0].out_channels == width and judge.projection.num_embeddings == 4
    assert judge(maker(noise(5, 6), LABELS), LABELS).shape == (5,) and maker.layers[0].in_features == 12
    assert build_cgan_generator(settings, 1, None)(noise(5, 6)).shape == (5, 1, 28, 28)

from types import SimpleNamespace

import pytest
import torch

from fakes import ListLog
from modescope.data.prepared import Dataset
from modescope.errors import UserError
from modescope.models.airbench import LookaheadState
from modescope.training.checkpoints import Checkpoint
from modescope.training.classifier import (
    RECIPES,
    build_optimizer,
    classifier_training,
    hold_out,
    new_classifier,
    triangle,
)
from modescope.training.loop import train

CPU = torch.device("cpu")
WIDTHS = {"airbench96": [4, 6, 8], "resnet": [4, 6, 8], "digit-cnn": [4, 6, 8, 10]}


def settings(network, **changes):
    values = {"role": "judge", "seed": 3, "epochs": 2.0, "batch_size": 16, "widths": WIDTHS[network]}
    values |= {"lr": 1.0, "weight_decay": 0.01, "label_smoothing": 0.1, "calibration_images": 8}
    values |= {"flip": True, "translate_pixels": 2, "cutout_pixels": 4}
    return SimpleNamespace(network=network, **{**values, **changes})


def dataset(network, count=48, num_classes=3):
    """Classes that differ in brightness."""
    channels, pixels = (1, 28) if network == "digit-cnn" else (3, 32)
    labels = torch.arange(count) % num_classes
    noise = torch.randint(0, 60, (count, channels, pixels, pixels), generator=torch.Generator().manual_seed(0))
    images = (noise + 80 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    return Dataset("bright", "made", images, labels, tuple("abc")[:num_classes])


def prepare(network, **changes):
    chosen, data = settings(network, **changes), dataset(network)
    classifier = new_classifier(chosen, data, CPU)
    return classifier_training(classifier, chosen, *hold_out(data, chosen, CPU)[0])


def fit(network, folder, log=None, **changes):
    training, log = prepare(network, **changes), log or ListLog()
    train(training, log=log, checkpoint=Checkpoint(folder, seconds=0), precision="fp32")
    return training.objective.classifier, log


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("network", WIDTHS)
def test_training_separates_bright_from_dark(network, tmp_path):
    classifier, log = fit(network, tmp_path, epochs=32.0, lr=9.0, label_smoothing=0.0, cutout_pixels=0)
    first, last = log.rows[0][1], log.rows[-1][1]
    assert set(first) == set(last) == {"train/loss", "train/accuracy", "train/gradient_norm"}
    assert last["train/loss"] < 0.7 * first["train/loss"] and last["train/accuracy"] > 0.7


@pytest.mark.parametrize("network", WIDTHS)
def test_the_seed_decides_everything(network, tmp_path):
    (first, _), (repeated, _), (other, _) = (
        fit(network, tmp_path / name, seed=seed) for name, seed in zip("abc", (3, 3, 4), strict=False)
    )
    assert equal(first, repeated) and not equal(first, other)


@pytest.mark.parametrize("network", WIDTHS)
def test_an_interrupted_training_ends_in_the_same_weights(network, tmp_path):
    whole, _ = fit(network, tmp_path / "whole", epochs=4.0)
    with pytest.raises(KeyboardInterrupt):
        fit(network, tmp_path / "broken", ListLog(dies_at=7), epochs=4.0)
    resumed, log = fit(network, tmp_path / "broken", epochs=4.0)
    assert log.rows[0][0] == 7 and equal(whole, resumed)


def test_held_out_images_are_not_trained_on():
    data, chosen = dataset("resnet"), settings("resnet", calibration_images=8)
    (images, labels), (held, held_labels) = hold_out(data, chosen, CPU)
    assert (len(images), len(labels), len(held), len(held_labels)) == (40, 40, 8, 8)
    together = torch.cat([images, held]).flatten(1)
    assert len(together.unique(dim=0)) == len(data.images.flatten(1).unique(dim=0)) == 48


def test_nothing_left_to_train_on_is_refused():
    with pytest.raises(UserError, match="calibration_images 48 leaves none of bright's 48 images"):
        hold_out(dataset("resnet"), settings("resnet", calibration_images=48), CPU)


@pytest.mark.parametrize(
    "changes, message",
    [({}, r"digit-cnn takes images \(3, 28, 28\), bright has \(3, 32, 32\)"), ({"widths": [4]}, "expected 4 widths")],
)
def test_a_network_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        new_classifier(settings("digit-cnn", **changes), dataset("resnet"), CPU)


def test_schedule_is_airbenchs():
    """Corner points of the package's triangle for 100 steps."""
    assert [triangle(step, 100, 0.07) for step in (0, 23, 100)] == pytest.approx([0.2, 1.0, 0.07])
    assert triangle(11, 22, 0.07) == pytest.approx(1 - 0.93 * (11 - 5) / (22 - 5))


def package_weights(layers, batches, lr, weight_decay, momentum, bias_scale):
    """Three steps as `airbench.utils.train` makes them: the sum of the losses, its own scaling."""
    batch_size, scale = len(batches[0][0]), 1024 * (1 + 1 / (1 - momentum))
    rate, decay = lr / scale, weight_decay * batch_size / scale
    named = [(name, weight) for name, weight in layers.named_parameters() if weight.requires_grad]
    groups = [
        {
            "params": [w for n, w in named if "norm" in n],
            "lr": rate * bias_scale,
            "weight_decay": decay / (rate * bias_scale),
        },
        {"params": [w for n, w in named if "norm" not in n], "lr": rate, "weight_decay": decay / rate},
    ]
    optimizer = torch.optim.SGD(groups, momentum=momentum, nesterov=True)
    for images, labels in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layers(images), labels, reduction="sum").backward()
        optimizer.step()


def test_steps_are_airbenchs():
    """The same batches through our optimiser (mean loss) and through the package's (summed loss)."""
    chosen, data = settings("airbench96", lr=5.0), dataset("airbench96")
    ours, theirs = (new_classifier(chosen, data, CPU).double() for _ in range(2))
    batches = [(torch.randn(16, 3, 32, 32, dtype=torch.double), torch.arange(16) % 3) for _ in range(3)]
    optimizer = build_optimizer(ours, chosen)
    for images, labels in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(ours.layers(images), labels).backward()
        optimizer.step()
    recipe = RECIPES["airbench96"]
    package_weights(theirs.layers, batches, chosen.lr, chosen.weight_decay, recipe.momentum, recipe.bias_scale)
    for name, weight in ours.layers.named_parameters():
        assert weight.detach().numpy() == pytest.approx(
            theirs.layers.get_parameter(name).detach().numpy(), rel=1e-6, abs=1e-9
        ), name


def test_lookahead_ends_in_the_average():
    """Steps 5 and 7 of 7: the weights become the average of step 5, as in the package."""
    objective = prepare("airbench96", epochs=2.8).objective
    assert objective.num_steps == 7
    layers = objective.classifier.layers
    weight = layers[7].weight.data
    average = LookaheadState(layers)
    for step in range(1, 8):
        weight.fill_(float(step))
        if step == 5:
            average.update(layers, 0.95**5 * (5 / 7) ** 3)
            expected = weight.clone()
            weight.fill_(5.0)
        objective.after_step(step)
    assert torch.equal(weight, expected) and 0 < (5 - expected.mean()) < 5

"""Study 3's trainings, as small as they get, and the plain loop of the benchmark."""

import math

import pytest
import torch

from fakes import ListLog
from modescope.errors import UserError
from modescope.models.cgan import CganGenerator, Critic, SpectralDiscriminator
from modescope.training.checkpoints import Checkpoint
from modescope.training.collapse import SPREAD
from modescope.training.loop import train
from modescope.training.losses import gradient_penalty
from modescope.training.objective import Batch
from small_cgans import IMAGES, LABELS, config, run, training

LOSSES = ["bce", "lsgan", "hinge", "wgan-gp"]
OURS = {"ema_decay": 0.9, "generator_labels": "concat", "discriminator_labels": "projection"}
BIAS, SIGN = "discriminator.logit.bias", "discriminator.logit.parametrizations.weight.0._u"
# What two steps leave: the last bias where real and fake logits pull at it alike, the direction of a matrix with one
# row.
STILL = {"bce": {SIGN}, "lsgan": {SIGN}, "hinge": {SIGN, BIAS}, "wgan-gp": {BIAS}}
KINDS = {"spectral": {"loss": "bce"}, "critic": {"loss": "wgan-gp"}, "ours": {"loss": "hinge", **OURS}}


def copy_of(weights):
    return {name: value.clone() for name, value in weights.items()}


def changed(before, after):
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.usefixtures("any_precision")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("mode", ["cgan", "dcgan"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_both_networks_with_labels_and_without(loss, mode, precision, tmp_path):
    trained, log = training(loss=loss, mode=mode, generator_steps=2), ListLog()
    before = copy_of(trained.objective.weights())
    train(trained, log=log, checkpoint=Checkpoint(tmp_path, seconds=0.0), precision=precision)
    weights = trained.objective.weights()
    assert all(weight.isfinite().all() for weight in weights.values())
    has_labels = mode == "cgan"
    assert before.keys() - changed(before, weights) == STILL[loss] | ({"prior.num_classes"} if has_labels else set())
    assert ("generator.embedding.weight" in weights) == ("discriminator.label_map.weight" in weights) == has_labels
    parts = {"d_loss", "d_real", "d_fake", "d_gradient_norm", "g_loss", "g_gradient_norm"} | (
        {"d_penalty"} if loss == "wgan-gp" else set()
    )
    assert [step for step, _ in log.rows] == [1, 2] and all(
        row.keys() == {f"train/{part}" for part in parts} | {SPREAD} for _, row in log.rows
    )
    assert {name for name, *_ in log.images} == ({"samples", "fixed_z"} if has_labels else {"samples"})


@pytest.mark.parametrize(("loss", "updates", "betas"), [("bce", 1, (0.5, 0.999)), ("wgan-gp", 5, (0.0, 0.9))])
def test_updates_and_optimisers_are_those_of_the_losss_recipe(loss, updates, betas, tmp_path):
    trained = training(loss=loss, generator_steps=3)
    run(trained, tmp_path)
    for phase, steps, lr in zip(trained.objective.phases, (updates, 1), (4e-4, 1e-4), strict=True):
        held = [weight for group in phase.optimizer.param_groups for weight in group["params"]]
        assert len(held) == len(list(phase.module.parameters()))
        assert {phase.optimizer.state[weight]["step"].item() for weight in held} == {3 * steps}
        assert {(group["lr"], tuple(group["betas"])) for group in phase.optimizer.param_groups} == {(lr, betas)}


def test_every_update_of_the_critic_has_a_batch_of_its_own(tmp_path):
    trained, asked = training(loss="wgan-gp", mode="dcgan", generator_steps=2), []
    rows, trained.stream.rows = trained.stream.rows, lambda number: asked.append(number) or rows(number)
    run(trained, tmp_path)
    # The generator's batch is asked for its size alone; after a step the samples are held against the first batch.
    assert asked == [*(0, 1, 2, 3, 4), 0, 0, *(5, 6, 7, 8, 9), 1, 0]


@pytest.mark.parametrize("mode", ["cgan", "dcgan"])
def test_the_generator_is_given_new_latent_vectors_and_labels_in_its_own_step(mode, tmp_path):
    trained, given = training(mode=mode, generator_steps=1), []
    trained.objective.generator.register_forward_pre_hook(
        lambda network, inputs: given.append(inputs) if network.training else None
    )
    run(trained, tmp_path)
    (first, *own), (second, *uniform) = given
    assert not torch.equal(first, second) and len(own) == len(uniform) == (mode == "cgan")
    if own:
        assert torch.equal(own[0], trained.stream.batch(0)[1]) and not torch.equal(own[0], uniform[0])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_loss_is_that_of_the_recipe(loss):
    """Scale, smoothing and penalty reach the objective."""
    trained = training(loss=loss, mode="dcgan")
    objective, batch = trained.objective, Batch(*trained.stream.batch(0))
    generator, judge = objective.generator.eval(), objective.discriminator.eval()
    torch.manual_seed(3)
    losses = objective.losses("d", batch)
    torch.manual_seed(3)
    real_images, fake_images = batch.images.float() / 127.5 - 1, generator(torch.randn(8, 6)).detach()
    real, fake = judge(real_images), judge(fake_images)
    expected = {
        "bce": -(0.9 * real.sigmoid().log() + 0.1 * (-real).sigmoid().log() + (-fake).sigmoid().log()).mean() / 2,
        "lsgan": ((real - 0.9).square() + fake.square()).mean() / 2,
        "hinge": ((1 - real).clamp(min=0) + (1 + fake).clamp(min=0)).mean() / 2,
        "wgan-gp": (fake - real).mean() + 10 * gradient_penalty(judge, real_images, fake_images, torch.rand(8)),
    }
    assert losses["loss"].item() == pytest.approx(expected[loss].item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_and_resumed_ends_in_the_same_weights(kind, tmp_path):
    whole, interrupted = ListLog(), ListLog(dies_at=4)
    expected = copy_of(run(training(**KINDS[kind]), tmp_path / "whole", whole))
    assert any(name.endswith("weight.0._u") for name in expected) == (kind != "critic")
    with pytest.raises(KeyboardInterrupt):
        run(training(**KINDS[kind]), tmp_path / "cut", interrupted)
    interrupted.dies_at = None
    resumed = training(**KINDS[kind])
    assert not changed(expected, run(resumed, tmp_path / "cut", interrupted))
    assert interrupted.rows == whole.rows and interrupted.images == whole.images
    assert (resumed.objective.averaged is not None) == (kind == "ours")


def test_the_seed_decides_the_weights(tmp_path):
    first, repeated, other = (
        copy_of(run(training(seed=seed, generator_steps=2), tmp_path / name))
        for name, seed in (("a", 1), ("b", 1), ("c", 0))
    )
    still = {name for name in first if name.endswith("num_batches_tracked")} | {"prior.num_classes"}
    assert not changed(first, repeated) and first.keys() - changed(first, other) == still


def test_without_labels_the_labels_of_the_data_change_nothing(tmp_path):
    first = copy_of(run(training(mode="dcgan", generator_steps=2), tmp_path / "a"))
    assert not changed(first, run(training(mode="dcgan", generator_steps=2, labels=LABELS.flip(0)), tmp_path / "b"))


def test_the_samples_come_from_the_average(tmp_path):
    trained = training(generator_steps=2, **KINDS["ours"])
    weights = run(trained, tmp_path)
    assert torch.equal(weights["generator.layers.0.weight"], trained.objective.averaged.layers[0].weight)
    assert not torch.equal(weights["generator.layers.0.weight"], trained.objective.generator.layers[0].weight)


def test_colour_images_without_labels(tmp_path):
    weights = run(training(mode="dcgan", generator_steps=1, images=IMAGES.expand(-1, 3, -1, -1).contiguous()), tmp_path)
    assert weights["generator.layers.11.weight"].shape == (3, 2, 3, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "bec"}, "unknown loss `bec`: there are bce"),
        ({"loss": "hinge", "real_label": 0.9}, "the loss `hinge` has no target to smooth"),
        ({"batch_size": 41}, "a batch of 41 images cannot be drawn from 40"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        training(settings=config().model_copy(update=changes))


def plain(monkeypatch, loss):
    """The benchmark's plain loop on 16 pictures."""
    from benchmarks.plain_cgan import PlainCgan
    from modescope.vision import torchvision

    torch.manual_seed(0)
    pictures = [torchvision.transforms.functional.to_pil_image(image) for image in IMAGES[:16]]
    return PlainCgan(pictures, LABELS[:16], torch.device("cpu"), loss, batch_size=8)


@pytest.mark.parametrize(
    ("loss", "judge"), [("bce", SpectralDiscriminator(32, 0.25, 1, 10)), ("wgan-gp", Critic(64, 1, 10))]
)
def test_the_plain_loop_trains_the_same_networks(loss, judge, monkeypatch):
    loop = plain(monkeypatch, loss)
    z, pictures, labels = torch.randn(4, 100), torch.randn(4, 1, 28, 28), torch.tensor([0, 9, 9, 4])
    for theirs, ours, given in (
        (loop.generator, CganGenerator(100, 128, 0.8, 1, 10), z),
        (loop.discriminator, judge, pictures),
    ):
        state = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
        theirs.load_state_dict(state)
        assert [weight.shape for weight in theirs.parameters()] == [weight.shape for weight in ours.parameters()]
        torch.testing.assert_close(theirs.eval()(given, labels), ours.eval()(given, labels), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("loss", "updates"), [("bce", 1), ("wgan-gp", 5)])
def test_the_plain_loop_runs(loss, updates, monkeypatch):
    loop = plain(monkeypatch, loss)
    loop.run(1)
    assert all(math.isfinite(value) for value in loop.last_losses)
    for network, optimizer, steps in (
        (loop.generator, loop.generator_optimizer, 1),
        (loop.discriminator, loop.discriminator_optimizer, updates),
    ):
        assert {optimizer.state[weight]["step"].item() for weight in network.parameters()} == {steps}

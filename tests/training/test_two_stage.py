"""Study 2's trainings: what is trained and what stays, how long, and that an interruption changes nothing."""

import pytest
import torch
from safetensors.torch import load_file

from fakes import ListLog
from modescope.errors import UserError
from modescope.models.weights import part, save_weights
from modescope.runs.folder import WEIGHTS_FILE
from modescope.training.checkpoints import Checkpoint
from modescope.training.collapse import SPREAD
from modescope.training.guidance import ClassGuidance
from modescope.training.loop import train
from modescope.training.two_stage import (
    Stage1,
    adapted_generator,
    load_stage1,
    stage1_training,
    stage2_training,
    trainable_parameters,
)
from small_gans import ADAPTED, IMAGES, LABELS, ROWS, config, guide, stage1, stage2

NORMS = {"train/g_gradient", "train/g_adversarial_gradient", "train/g_class_gradient"}


def run(training, folder, log=None):
    timing = train(training, log=log or ListLog(), checkpoint=Checkpoint(folder, seconds=0.0), precision="fp32")
    return training.objective.weights(), timing


def copy_of(weights):
    return {name: value.clone() for name, value in weights.items()}


def changed(before, after):
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def plain(**changes):
    settings = config(**changes)
    return stage1_training(settings, stage1(settings), (IMAGES, LABELS))


def test_stage1_trains_both_networks_without_guidance(tmp_path):
    training, log = plain(stage1_max_generator_steps=3), ListLog()
    before = copy_of(training.objective.weights())
    weights, timing = run(training, tmp_path, log)
    assert timing.steps == 3 and {"prior.means", "prior.variance"} == before.keys() - changed(before, weights)
    parts = ("d_loss", "d_real", "d_fake", "d_gradient_norm", "g_loss", "g_gradient_norm")
    assert set(log.rows[0][1]) == {f"train/{part}" for part in parts} | {SPREAD}


@pytest.mark.parametrize("row", ROWS)
def test_stage2_logs_both_terms_and_their_gradients(row, tmp_path):
    log = ListLog()
    run(stage2(row, stage2_max_generator_steps=4), tmp_path, log)
    assert [step for step, _ in log.rows] == [1, 2]
    for _, found in log.rows:
        assert NORMS | {"train/g_adversarial", "train/g_class", "train/g_loss", "train/d_loss"} <= found.keys()
        assert found["train/g_loss"] == pytest.approx(found["train/g_adversarial"] + found["train/g_class"], rel=1e-5)
        assert all(found[name] > 0 for name in NORMS)
    assert ("samples", 2, (274, 342, 3)) in log.images  # eight of every class, a class a column


@pytest.mark.parametrize("row", ADAPTED)
def test_stage2_leaves_weights_and_statistics_of_the_generator_alone(row, tmp_path):
    training = stage2(row, stage2_max_generator_steps=4)
    before = copy_of(training.objective.weights())
    weights, timing = run(training, tmp_path)
    assert timing.steps == 2
    moved = changed(before, weights)
    assert not any(name.startswith("generator.generator.") for name in moved)
    adapters = {
        f"generator.{name}" for name, weight in training.objective.generator.named_parameters() if weight.requires_grad
    }
    assert adapters <= moved and "discriminator.layers.0.weight" in moved


def test_architecture_a_moves_everything(tmp_path):
    training = stage2("A")
    before = copy_of(training.objective.weights())
    weights, _ = run(training, tmp_path)
    assert changed(before, weights) == before.keys() - {"prior.means", "prior.variance"}


@pytest.mark.parametrize("row", ROWS)
def test_the_optimiser_has_what_is_trained(row):
    training = stage2(row)
    generator, optimizer = training.objective.phases[1].module, training.objective.phases[1].optimizer
    held = sum(weight.numel() for group in optimizer.param_groups for weight in group["params"])
    assert (
        held
        == trainable_parameters(generator)
        == sum(weight.numel() for weight in generator.parameters() if weight.requires_grad)
    )


@pytest.mark.parametrize("row", ROWS)
def test_interrupted_and_resumed_ends_in_the_same_weights(row, tmp_path):
    whole, interrupted = ListLog(), ListLog(dies_at=2)
    expected, _ = run(stage2(row, seed=5), tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        run(stage2(row, seed=5), tmp_path / "cut", interrupted)
    interrupted.dies_at = None
    weights, timing = run(stage2(row, seed=5), tmp_path / "cut", interrupted)
    assert timing.resumed_from_step == 1 and interrupted.rows == whole.rows
    assert not changed(expected, weights)


@pytest.mark.parametrize("row", ["A", "D"])
def test_the_seed_decides_the_weights(row, tmp_path):
    first, repeated, other = (
        run(stage2(row, seed=seed, stage2_max_generator_steps=2), tmp_path / name)[0]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert not changed(first, repeated) and changed(first, other)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"stage1_epochs": 3, "stage1_max_generator_steps": 100}, 30),  # 40 images in batches of 4
        (
            {"stage1_epochs": 3, "stage1_max_generator_steps": 100, "n_critic": 4},
            7,
        ),  # a fourth, each shows four batches
        ({"stage1_epochs": 3, "stage1_max_generator_steps": 100, "stage1_n_gen": 10}, 10),
        ({"stage1_epochs": 3, "stage1_max_generator_steps": 9, "stage1_n_gen": 10}, 1),
        ({"stage1_checkpoint": "somewhere"}, 0),
    ],
)
def test_neither_limit_is_exceeded(changes, steps):
    assert plain(**changes).num_steps == steps


def test_stage2_has_limits_of_its_own():
    assert stage2(stage2_epochs=2, stage2_max_generator_steps=1000, n_gen=3).num_steps == 20
    assert (
        stage2(stage2_epochs=2, stage2_max_generator_steps=21, n_gen=3, stage1_checkpoint="of stage 1").num_steps == 7
    )


def start_of(row, **changes):
    """Stage 2's generator and its facts, from a stage 1 with images that differ."""
    settings = config(row, ngf=8, sft_ff_dim=32, **changes)
    start = stage1(settings)
    with torch.no_grad():
        start.generator.layers[0].weight.mul_(50)
    return adapted_generator(settings, start, IMAGES)


@pytest.mark.parametrize("row", ADAPTED)
def test_adapters_start_near_stage1_or_anywhere(row):
    (generator, facts), (_, random) = start_of(row), start_of(row, adapter_start="random")
    assert facts.keys() == {"adapter_parameters", "start_mse"}
    assert facts["adapter_parameters"] == random["adapter_parameters"] == trainable_parameters(generator)
    assert facts["start_mse"] < 0.1 * random["start_mse"]
    assert generator.training and not generator.generator.training


def test_architecture_a_starts_where_stage1_ended():
    settings = config("A")
    start = stage1(settings)
    assert adapted_generator(settings, start, IMAGES) == (start.generator, {})


@pytest.fixture
def kept(tmp_path):
    """model.safetensors of a stage 1 of the small settings."""
    save_weights(plain().objective.weights(), tmp_path)
    return tmp_path / WEIGHTS_FILE


def test_a_stage1_comes_back_from_its_file(kept):
    expected = load_file(kept)
    loaded = load_stage1(kept, config(seed=99), channels=3)
    weights = stage1_training(config(), loaded, (IMAGES, LABELS)).objective.weights()
    assert isinstance(loaded, Stage1) and loaded.prior.num_classes == 10 and not changed(expected, weights)


OURS = {"network": "residual", "loss": "hinge", "n_critic": 2, "ema_decay": 0.9, "lr_schedule": "linear", "flip": True}


@pytest.mark.parametrize("row", ["A", "D"])
def test_ours_is_trained_kept_and_guided(row, tmp_path):
    settings = config(row, stage1_max_generator_steps=2, n_gen=1, stage2_max_generator_steps=2, **OURS)
    weights, timing = run(stage1_training(settings, stage1(settings), (IMAGES, LABELS)), tmp_path / "stage1")
    assert timing.steps == 2
    save_weights(weights, tmp_path)
    start = load_stage1(tmp_path / WEIGHTS_FILE, settings, channels=3)
    assert not changed(part(weights, "generator"), start.generator.state_dict())
    generator, _ = adapted_generator(settings, start, IMAGES)
    guidance = ClassGuidance(guide(), settings.ce_loss_weight)
    guided = stage2_training(settings, start._replace(generator=generator), guidance, (IMAGES, LABELS))
    moved = changed(copy_of(guided.objective.weights()), run(guided, tmp_path / "stage2")[0])
    learnt = "discriminator.logit.parametrizations.weight.original"  # hinge's first steps leave the bias alone
    assert any(name.startswith("generator.") for name in moved) and learnt in moved


@pytest.mark.parametrize("network", ["dcgan", "residual"])
def test_a_stage1_of_another_network_is_refused(network, tmp_path):
    settings = config(network=network)
    save_weights(stage1_training(settings, stage1(settings), (IMAGES, LABELS)).objective.weights(), tmp_path)
    other = "residual" if network == "dcgan" else "dcgan"
    with pytest.raises(UserError, match=f"`network`, which is {other} here"):
        load_stage1(tmp_path / WEIGHTS_FILE, config(network=other), channels=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ngf": 4}, r"holds no stage 1 of latent_dim 10, ngf 4, ndf 2 \(.+\): set them as it was trained"),
        ({"ndf": 4}, "holds no stage 1 of latent_dim 10, ngf 2, ndf 4"),
        ({"latent_dim": 12, "sft_input_dim": 12}, "holds no stage 1 of latent_dim 12"),
        ({"prior": "normal"}, "was not trained on the prior `normal`"),
        ({"prior": "sphere"}, "was not trained on the prior `sphere`"),
        ({"prior": "orthogonal"}, "was not trained on the prior `orthogonal`"),
    ],
)
def test_a_stage1_of_other_settings_is_refused(kept, changes, message):
    with pytest.raises(UserError, match=message) as refusal:
        load_stage1(kept, config(**changes), channels=3)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_what_is_no_stage1_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(
        UserError, match="is missing: run `dvc repro stage1`" if content is None else "holds no stage 1"
    ) as refusal:
        load_stage1(tmp_path / WEIGHTS_FILE, config(), channels=3)
    assert "\n" not in str(refusal.value)


def test_a_stage2_is_no_stage1(tmp_path):
    save_weights(stage2("D").objective.weights(), tmp_path)
    with pytest.raises(UserError, match="holds no stage 1"):
        load_stage1(tmp_path / WEIGHTS_FILE, config(), channels=3)

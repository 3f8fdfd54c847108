"""The hybrid: who trains whom, what it shows, and that an interruption changes nothing."""

import pytest
import torch

from fakes import ListLog
from modescope.config import parse_params, profile_values
from modescope.data.batches import to_unit
from modescope.models.vae import build_vae
from modescope.training.checkpoints import Checkpoint
from modescope.training.collapse import SPREAD
from modescope.training.hybrid import hybrid_training
from modescope.training.loop import train
from modescope.training.objective import Batch
from modescope.training.vae import vae_losses

DEMO = parse_params(profile_values("demo"), "demo")
VAE = DEMO.imbalance.vae.model_copy(update={"latent_dim": 4})


def make(seed=1, **changes):
    settings = DEMO.hybrid.model_copy(update={"batch_size": 8, "max_steps": 6, **changes})
    gan = DEMO.imbalance.gan.model_copy(update={"width": 8, "ema_decay": 0.9})
    torch.manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8)
    return hybrid_training(
        settings, gan, VAE, build_vae(VAE.latent_dim), images, torch.zeros(60, dtype=torch.int64), seed
    )


@pytest.fixture
def objective():
    return make().objective


@pytest.fixture
def batch():
    return Batch(*make().stream.batch(0))


def networks(objective):
    return {phase.name: phase.module for phase in objective.phases}


def gradients(objective, losses):
    """Whether each network gets a gradient."""
    losses["loss"].backward()
    return {
        name: any(weight.grad is not None for weight in net.parameters()) for name, net in networks(objective).items()
    }


def test_every_phase_trains_its_own_network(objective, batch):
    for phase in ("vae", "d", "g"):
        for net in networks(objective).values():
            net.zero_grad(set_to_none=True)
        assert gradients(objective, objective.losses(phase, batch)) == {
            name: name == phase for name in ("vae", "d", "g")
        }


def test_the_encoder_gets_the_generators_gradient(objective, batch):
    """That of weight * -log D(G(z)), on top of the ELBO's, which it leaves as it was; the decoder gets none."""
    found = {}
    for weight in (0.0, 1.0, 3.0):
        objective.adversarial_weight = weight
        objective.vae.zero_grad(set_to_none=True)
        torch.manual_seed(5)  # the same noise, the same dropout
        losses = objective.losses("vae", batch)
        losses["loss"].backward()
        found[weight] = [
            objective.vae.get_parameter(name).grad.clone()
            for name in ("encoder.embedding.weight", "decoder.layers.0.weight")
        ]
    own = [found[weight][0] - found[0.0][0] for weight in (1.0, 3.0)]
    assert own[0].abs().max() > 1e-4
    assert torch.allclose(own[1], 3 * own[0], rtol=1e-2, atol=1e-5)
    assert torch.allclose(found[3.0][1], found[0.0][1], rtol=1e-5, atol=1e-6)


def test_the_vae_loss_is_the_elbo_and_the_weighted_part(objective, batch):
    objective.adversarial_weight = 2.0
    torch.manual_seed(5)
    losses = objective.losses("vae", batch)
    torch.manual_seed(5)
    elbo, reconstruction, kl = vae_losses(objective.vae, to_unit(batch.images))
    assert losses["loss"].item() == pytest.approx((elbo + 2 * losses["adversarial"]).item(), rel=1e-5)
    assert (losses["reconstruction"].item(), losses["kl"].item()) == pytest.approx(
        (reconstruction.item(), kl.item()), rel=1e-5
    )


def test_the_generator_is_fed_the_batchs_codes(objective, batch):
    """The z of the ELBO, in phases "d" and "g" alike."""
    fed, decoded = [], []
    objective.adversarial.generator.register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0]))
    objective.vae.decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(inputs[0]))
    for phase in ("vae", "d", "g"):
        objective.losses(phase, batch)
    assert len(decoded) == 1 and len(fed) == 2  # "g" uses the images of "d"
    assert torch.equal(fed[0], decoded[0]) and torch.equal(fed[1], decoded[0])
    assert fed[0].requires_grad and not fed[1].requires_grad


@pytest.mark.parametrize("averages", [True, False])
def test_the_preview_shows_samples_and_held_out_pairs(objective, averages):
    if not averages:
        objective.adversarial.averaged = None
    state = torch.get_rng_state()
    shown = objective.preview()
    assert shown["samples"].shape == (64, 3, 32, 32)
    assert torch.equal(shown["reconstructions"][:8], objective.held_out[:8])  # 60 * 0.2 = 12: rows of 8, 8, 4, 4
    assert torch.equal(shown["reconstructions"][16:20], objective.held_out[8:])
    assert shown["reconstructions"].shape == (24, 3, 32, 32) and shown["reconstructions"].dtype == torch.uint8
    assert torch.equal(torch.get_rng_state(), state)
    assert objective.adversarial.generator.training


def test_held_out_images_are_not_trained_on():
    training = make()
    rows = {image.numpy().tobytes() for image in training.stream.images}
    assert len(rows) == 48 and len(training.objective.held_out) == 12
    assert not rows & {image.numpy().tobytes() for image in training.objective.held_out}


def run(folder, log, **changes):
    training = make(**changes)
    timing = train(training, log=log, checkpoint=Checkpoint(folder, 0.0), precision="fp32")
    return training.objective.weights(), timing


def test_it_trains_every_network_and_logs(tmp_path):
    before = {name: value.clone() for name, value in make().objective.weights().items()}
    log = ListLog()
    weights, timing = run(tmp_path, log)
    assert {name.partition(".")[0] for name in weights} == {"generator", "discriminator", "vae"}
    for name in (
        "generator.layers.0.weight",
        "discriminator.layers.0.weight",
        "vae.encoder.embedding.weight",
        "vae.decoder.layers.0.weight",
    ):
        assert not torch.equal(before[name], weights[name]), name
    parts = {"vae_loss", "vae_reconstruction", "vae_kl", "vae_adversarial", "d_loss", "d_real", "d_fake", "g_loss"}
    parts |= {"vae_gradient_norm", "d_gradient_norm", "g_gradient_norm"}
    assert set(log.rows[0][1]) == {f"train/{part}" for part in parts} | {SPREAD}
    assert ("reconstructions", 6, (104, 274, 3)) in log.images and timing.steps == 6


def test_interrupted_and_resumed_ends_in_the_same_weights(tmp_path):
    whole, interrupted = ListLog(), ListLog(dies_at=4)
    expected, _ = run(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", interrupted)
    interrupted.dies_at = None
    weights, timing = run(tmp_path / "cut", interrupted)
    assert timing.resumed_from_step == 3 and interrupted.rows == whole.rows
    assert weights.keys() == expected.keys()
    for name in weights:
        assert torch.equal(weights[name], expected[name]), name


def test_the_seed_decides_the_weights(tmp_path):
    first, repeated, other = (
        run(tmp_path / name, ListLog(), max_steps=2, seed=seed)[0] for name, seed in (("a", 1), ("b", 1), ("c", 0))
    )
    assert all(torch.equal(first[name], repeated[name]) for name in first)
    assert not torch.equal(first["generator.layers.0.weight"], other["generator.layers.0.weight"])

"""Recorded iterations: the same training, and nothing in it that a recording would freeze."""

from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import small_cgans
import small_gans
from modescope.models.vae import build_vae
from modescope.training import loop
from modescope.training.checkpoints import Checkpoint
from modescope.training.cuda_graph import WARM_UP, CudaRecorder, Graphed
from modescope.training.device import arithmetic
from modescope.training.gan import gan_training
from modescope.training.hybrid import hybrid_training
from modescope.training.loop import iterate, make_iteration
from modescope.training.meter import Meter
from modescope.training.objective import Batch
from modescope.training.vae import vae_training

DEMO = small_gans.DEMO
VAE = DEMO.imbalance.vae.model_copy(update={"latent_dim": 4, "batch_size": 8})
GAN = DEMO.imbalance.gan.model_copy(update={"width": 8, "batch_size": 8, "ema_decay": 0.9})
OURS = DEMO.imbalance.gan_ours.model_copy(
    update={"generator_width": 4, "discriminator_width": 4, "batch_size": 8, "diff_augment": True}
)
STAGE1_OURS = {
    "network": "residual",
    "loss": "hinge",
    "n_critic": 2,
    "n_gen": 1,
    "ema_decay": 0.9,
    "diff_augment": True,
}
STEPS = 7  # some before the recording, some after


def cgan(device, **changes):
    return small_cgans.training(images=small_cgans.IMAGES.to(device), labels=small_cgans.LABELS.to(device), **changes)


def data(device):
    return small_gans.IMAGES.to(device), small_gans.LABELS.to(device)


def hybrid(device):
    torch.manual_seed(0)
    return hybrid_training(
        DEMO.hybrid.model_copy(update={"batch_size": 8}), GAN, VAE, build_vae(VAE.latent_dim), *data(device), 1
    )


TRAININGS = {
    "gan": lambda device: gan_training(GAN, *data(device), 1),
    "gan-ours": lambda device: gan_training(OURS, *data(device), 1),
    "vae": lambda device: vae_training(VAE, *data(device), 1),
    "hybrid": hybrid,
    "stage 2, A": lambda device: small_gans.stage2("A", device),
    "stage 2, D": lambda device: small_gans.stage2("D", device),
    "stage 2 of ours, A": lambda device: small_gans.stage2("A", device, **STAGE1_OURS),
    "stage 2 of ours, D": lambda device: small_gans.stage2("D", device, **STAGE1_OURS),
    "cgan bce": lambda device: cgan(device),
    "cgan hinge": lambda device: cgan(device, loss="hinge", ema_decay=0.9, discriminator_labels="projection"),
    "cgan wgan-gp": lambda device: cgan(device, loss="wgan-gp"),
}
every_training = pytest.mark.parametrize("name", TRAININGS)
needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU: `make gpu-check` on a machine that has one"
)


class Repeat:
    """A recorder whose recording is the function itself."""

    def __init__(self):
        self.done, self.recorded = 0, 0

    def once(self, run):
        self.done += 1
        run()

    def record(self, run):
        self.recorded += 1
        return run


def eager(training, meter, precision):
    return partial(iterate, training, meter, precision)


def after(training, make_run, steps):
    """Weights and means after some iterations."""
    meter = Meter()
    torch.manual_seed(5)
    run = make_run(training, meter, "fp32")
    for step in range(steps):
        run(training.rows(step))
    return training.objective.weights(), meter.read(steps)


@every_training
def test_a_replay_is_given_the_batches_of_its_step_and_adds_to_the_same_sums(name):
    recorder = Repeat()
    weights, means = after(TRAININGS[name]("cpu"), lambda *given: Graphed(eager(*given), recorder), STEPS)
    expected, their_means = after(TRAININGS[name]("cpu"), eager, STEPS)
    assert (recorder.done, recorder.recorded) == (WARM_UP, 1)
    assert all(torch.equal(weights[key], value) for key, value in expected.items()) and means == their_means


class NothingFromTheHost(TorchDispatchMode):
    """Refuses what a CUDA graph cannot hold or would freeze: host numbers, and sizes that depend on values."""

    REFUSED = {
        "_local_scalar_dense",
        "lift_fresh",
        "nonzero",
        "masked_select",
        "unique",
        "randperm",
        "equal",
        "is_nonzero",
        "_pin_memory",
    }

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__ if hasattr(function, "overloadpacket") else function.__name__
        assert name not in self.REFUSED, f"{function} in a recorded iteration"
        return function(*arguments, **(options or {}))


def on_cuda(monkeypatch):
    """Let the layers that have a form of their own for a CPU take the one for CUDA."""
    monkeypatch.setattr("modescope.models.layers.Dropout.forward", torch.nn.Dropout.forward)


@every_training
def test_an_iteration_takes_nothing_from_the_host(name, monkeypatch):
    on_cuda(monkeypatch)
    training, meter = TRAININGS[name]("cpu"), Meter()
    iterate(training, meter, "fp32", training.rows(0))  # optimisers make their state
    rows = training.rows(1)
    for phase in training.objective.phases:
        phase.optimizer.step = lambda: None  # on CUDA it is one kernel
    with NothingFromTheHost():
        iterate(training, meter, "fp32", rows)


@pytest.mark.parametrize(
    "make",
    [lambda: torch.ones(2).sum().item(), lambda: torch.ones(2) * torch.tensor(3.0), lambda: torch.ones(2).nonzero()],
)
def test_what_the_host_takes_part_in_is_noticed(make):
    with NothingFromTheHost(), pytest.raises(AssertionError, match="in a recorded iteration"):
        make()


@every_training
def test_nothing_of_an_iteration_lies_on_the_cpu(name, monkeypatch):
    """Tensors of the device `meta` refuse to meet those of the CPU."""
    on_cuda(monkeypatch)
    monkeypatch.setattr("torch.autocast", no_autocast)
    training = TRAININGS[name]("cpu")
    objective = training.objective
    images, labels = training.stream.batch(0)
    batch = Batch(images.to("meta"), labels.to("meta"))
    for phase in objective.phases:
        phase.module.to("meta")
    for term in getattr(objective, "guidance", ()):
        term.guide.to("meta")
    for phase in objective.phases:
        losses = objective.losses(phase.name, batch)
        losses["loss"].backward()
        assert {value.device.type for value in losses.values()} == {"meta"}


@contextmanager
def no_autocast(*_arguments, **_options):
    yield


def test_a_cpu_runs_every_iteration(monkeypatch):
    monkeypatch.setattr(loop, "Graphed", None)
    training = TRAININGS["gan"]("cpu")
    make_iteration(training, Meter(), "fp32")(training.rows(0))


def test_what_cannot_be_recorded_is_trained_all_the_same(monkeypatch, capsys):
    @contextmanager
    def refuse(_graph, stream):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")
        yield

    for name, stand_in in {"Stream": object, "CUDAGraph": object, "graph": refuse}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    done = []
    CudaRecorder().record(lambda: done.append(1))()
    assert done == [1]
    printed = capsys.readouterr().out
    assert (
        printed == "no CUDA graph of the iteration, every operation is launched on its own: "
        "operation not permitted when stream is capturing\n"
    )


@needs_cuda
@every_training
def test_fifty_captured_iterations_are_fifty_eager_ones(name, capsys):
    """In float32 with deterministic algorithms, to 1e-4 of every weight and mean."""
    with arithmetic("cuda", "fp32", deterministic=True):
        weights, means = after(TRAININGS[name]("cuda"), make_iteration, 50)
        expected, their_means = after(TRAININGS[name]("cuda"), eager, 50)
    assert "no CUDA graph" not in capsys.readouterr().out
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value, atol=1e-4, rtol=1e-4, msg=key)
    assert means == pytest.approx(their_means, abs=1e-4, rel=1e-3)


def trained_on_cuda(name, folder, stops=()):
    """Weights after 12 steps in bfloat16; at every step of `stops` a new training goes on from a checkpoint."""
    training, meter, begins = TRAININGS[name]("cuda"), Meter(), 0
    torch.manual_seed(5)
    for ends in (*stops, 12):
        run = make_iteration(training, meter, "bf16")
        for step in range(begins, ends):
            run(training.rows(step))
        checkpoint = Checkpoint(folder / str(ends))
        checkpoint.save(checkpoint.path, training.objective, ends, meter)
        training, meter = TRAININGS[name]("cuda"), Meter()
        begins = checkpoint.restore(training.objective, meter)
    return training.objective.weights()


@needs_cuda
@every_training
@pytest.mark.parametrize("stops", [(), (2,), (7,)], ids=["twice", "stopped before the recording", "stopped after it"])
def test_on_cuda_a_run_ends_in_the_same_bits(name, stops, tmp_path):
    with arithmetic("cuda", "bf16", deterministic=True):
        expected, weights = trained_on_cuda(name, tmp_path / "a"), trained_on_cuda(name, tmp_path / "b", stops)
    assert [key for key, value in expected.items() if not torch.equal(value, weights[key])] == []


@needs_cuda
def test_replays_move_the_noise_and_the_power_iteration_on():
    training, meter = TRAININGS["cgan bce"]("cuda"), Meter()
    run = make_iteration(training, meter, "fp32")
    seen = []
    for step in range(WARM_UP + 3):
        run(training.rows(step))
        vector = training.objective.discriminator.layers[0].parametrizations.weight[0]._u  # (8,): one of (1,) is ±1
        seen.append((vector.clone(), meter.read(step + 1)["train/d_fake"]))
    assert len({means for _, means in seen}) == len(seen)
    assert all(not torch.equal(first, second) for (first, _), (second, _) in zip(seen, seen[1:], strict=False))

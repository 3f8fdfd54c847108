"""The one loop, run on every objective of study 1."""

import pytest
import torch
from torch import nn

from fakes import ListLog
from modescope.config import parse_params, profile_values
from modescope.errors import UserError
from modescope.training.checkpoints import Checkpoint
from modescope.training.gan import gan_training
from modescope.training.loop import gradient_norm, iterate, train
from modescope.training.meter import Meter
from modescope.training.objective import Objective, Phase, Training, count_steps
from modescope.training.vae import vae_training

DEMO = parse_params(profile_values("demo"), "demo").imbalance
TRAININGS = {
    "gan": lambda **changes: make(gan_training, DEMO.gan, width=8, batch_size=8, **changes),
    "gan with average": lambda **changes: make(gan_training, DEMO.gan, width=8, batch_size=8, ema_decay=0.9, **changes),
    "gan-ours": lambda max_steps, **changes: make(
        gan_training, DEMO.gan_ours, generator_width=4, batch_size=8, generator_steps=max_steps, **changes
    ),
    "vae": lambda **changes: make(vae_training, DEMO.vae, batch_size=8, **changes),
}


def make(build, settings, seed=1, **changes):
    images = torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return build(settings.model_copy(update=changes), images, torch.arange(40) % 8, seed)


def run(training, folder, log=None, precision="fp32", seconds=0.0):
    log = log or ListLog()
    timing = train(training, log=log, checkpoint=Checkpoint(folder, seconds), precision=precision)
    return training.objective.weights(), log, timing


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("name", TRAININGS)
def test_every_objective_trains_and_logs(name, tmp_path):
    training = TRAININGS[name](max_steps=6)
    before = {key: value.clone() for key, value in training.objective.weights().items()}
    weights, log, timing = run(training, tmp_path)
    assert any(not torch.equal(before[key], weights[key]) for key in weights)
    assert [step for step, row in log.rows if any(key.startswith("train/") for key in row)] == [1, 2, 3, 4, 5, 6]
    assert all(value == value for _, row in log.rows for value in row.values())
    assert ("samples", 6, (274, 274, 3)) in log.images
    assert timing.steps == 6 and timing.resumed_from_step == 0 and timing.steps_per_second > 0


@pytest.mark.parametrize("name", TRAININGS)
def test_interrupted_and_resumed_ends_in_the_same_weights(name, tmp_path):
    expected, whole, _ = run(TRAININGS[name](max_steps=6), tmp_path / "whole")
    interrupted = ListLog(dies_at=4)
    with pytest.raises(KeyboardInterrupt):
        run(TRAININGS[name](max_steps=6), tmp_path / "cut", interrupted)
    interrupted.dies_at = None
    weights, log, timing = run(TRAININGS[name](max_steps=6), tmp_path / "cut", interrupted)
    assert timing.resumed_from_step == 3
    assert_equal(weights, expected)
    assert log.rows == whole.rows


def test_the_seed_decides_the_weights(tmp_path):
    first, *_ = run(TRAININGS["gan"](max_steps=2), tmp_path / "a")
    second, *_ = run(TRAININGS["gan"](max_steps=2), tmp_path / "b")
    other, *_ = run(TRAININGS["gan"](max_steps=2, seed=0), tmp_path / "c")
    assert_equal(first, second)
    assert not torch.equal(first["generator.layers.0.weight"], other["generator.layers.0.weight"])


def test_previews_and_checkpoints_change_nothing(tmp_path):
    never, *_ = run(TRAININGS["gan"](max_steps=4), tmp_path / "a", seconds=1e9)
    always, *_ = run(TRAININGS["gan"](max_steps=4), tmp_path / "b", seconds=0)
    assert_equal(never, always)


def test_divergence_is_reported_with_its_step(tmp_path):
    training = TRAININGS["gan"](max_steps=4)
    next(training.objective.generator.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"training diverged: train/\w+ is not finite at step 1"):
        run(training, tmp_path)


class Falling(Objective):
    """One weight that falls by 1 at every update, and what it gave each time."""

    def __init__(self):
        module = nn.Linear(1, 1, bias=False)
        nn.init.constant_(module.weight, 8.0)
        self.phases, self.given = (Phase("only", module, torch.optim.SGD(module.parameters(), lr=1.0), 3),), []

    def losses(self, phase, batch):
        output = self.phases[0].module(torch.ones(1, 1))
        self.given.append((output.item(), output.dtype))
        return {"loss": output.sum()}

    def gather(self, rows):
        return torch.zeros(1, 3, 2, 2, dtype=torch.uint8), rows

    def finish_iteration(self):
        self.given.append("end")


@pytest.mark.usefixtures("any_precision")
@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_every_update_sees_the_weights_of_the_last(precision, dtype):
    """Autocast keeps low-precision copies of the weights: one around several updates would hide what they did."""
    falling = Falling()
    meter = Meter()
    iterate(Training(falling, falling, 1), meter, precision, torch.zeros(3, 1))
    assert falling.given == [(8.0, dtype), (7.0, dtype), (6.0, dtype), "end"]
    assert meter.read(1) == {"train/loss": 6.0, "train/gradient_norm": 1.0}  # of the last update


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_gradient_norm_is_that_of_all_parameters_with_a_gradient(weight):
    module = nn.Linear(2, 1)
    module.unused = nn.Parameter(torch.ones(5))
    (weight * module(torch.tensor([[2.0, 2.0]])).sum()).backward()
    assert gradient_norm(module).item() == pytest.approx(3 * weight)  # of (2, 2) and 1


def test_unknown_loss_is_refused():
    with pytest.raises(UserError, match="unknown loss `bec`: there are bce"):
        TRAININGS["gan"](loss="bec")


def test_meter_averages_since_the_last_reading():
    meter = Meter()
    for value in (1.0, 3.0):
        meter.add({"loss": torch.tensor(value)})
    assert meter.read(2) == {"train/loss": pytest.approx(2.0)}
    meter.add({"loss": torch.tensor(7.0)})
    assert meter.read(3) == {"train/loss": pytest.approx(7.0)}
    assert meter.history == [
        {"step": 2, "train/loss": pytest.approx(2.0)},
        {"step": 3, "train/loss": pytest.approx(7.0)},
    ]


@pytest.mark.parametrize(
    ("epochs", "batches", "options", "steps"),
    [
        (3, 10, {}, 30),
        (3, 12.5, {}, 37),
        (3, 12.5, {"drop_last": False}, 38),
        (3, 12.5, {"limit": 20}, 20),
        (3, 10, {"batches_per_step": 4}, 7),
        (1, 1, {"batches_per_step": 5}, 1),
        (2, 10, {"limit": 0}, 1),
        (3, 0.1, {"drop_last": False}, 1),
        (1.1, 10, {"drop_last": False}, 11),  # in floating point 11.000000000000002
    ],
)
def test_steps_are_epochs_within_a_limit(epochs, batches, options, steps):
    assert count_steps(epochs, batches, **options) == steps

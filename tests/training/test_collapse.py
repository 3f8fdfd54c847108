"""Collapse is seen first: at the start, before anything is learnt, and while a generator trains."""

import pytest
import torch
from torch import nn

from fakes import ListLog
from modescope.config import parse_params, profile_values
from modescope.training.cgan import cgan_training
from modescope.training.checkpoints import Checkpoint
from modescope.training.collapse import POINTS, SHARE, SPREAD, collapsed_at_step, relative_spread
from modescope.training.gan import gan_training
from modescope.training.loop import train
from modescope.training.objective import Batch, Objective, Phase, Training
from modescope.training.two_stage import new_stage1, stage1_training

STANDARD = parse_params(profile_values("standard"), "standard")
LABELS = torch.arange(160) % 10


def images(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def cgan(row):
    return cgan_training(STANDARD.cgan.config(row), images(160, 1, 28, 28), LABELS, 10, seed=1)


def stage1(row):
    config = STANDARD.stage1_config(row)
    return stage1_training(config, new_stage1(config, 3, 10), (images(160, 3, 32, 32), LABELS))


def gan(model):
    return gan_training(STANDARD.imbalance.of_model(model), images(160, 3, 32, 32), LABELS, seed=1)


ROWS = [(gan, "gan"), (gan, "gan-ours")]
ROWS += [(cgan, row) for row in STANDARD.cgan.rows] + [(stage1, row) for row in STANDARD.two_stage.stage1]


def spread_at_the_start(objective):
    """Standard deviation over z of one class's images in [-1, 1], before BatchNorm has statistics that hide it."""
    torch.manual_seed(0)
    labels = None if objective.prior.num_classes is None else torch.zeros(64, dtype=torch.int64)
    latents = objective.prior.sample(64, torch.device("cpu"), labels=labels)
    with torch.no_grad():
        return objective.generator.eval()(*latents.inputs(objective.conditional)).std(dim=0).mean().item()


@pytest.mark.parametrize(("study", "row"), ROWS, ids=[row for _, row in ROWS])
def test_an_untrained_generator_already_draws_different_images_for_different_z(study, row):
    spread = spread_at_the_start(study(row).objective)
    if row == "cgan-bce-text":  # what one sentence of report 2 costs: z times an embedding of N(0, 0.02)
        assert spread < 0.05 * spread_at_the_start(cgan("cgan-bce").objective)
    else:
        assert spread > 5e-4


def test_spread_is_the_root_mean_square_distance_of_pairs_of_one_class():
    samples, real = images(6, 3, 1, 4, 4), images(9, 1, 4, 4).roll(1, 0)

    def distance(stack):
        pairs = [(a, b) for a in range(len(stack)) for b in range(a)]
        return torch.stack([(stack[a].float() - stack[b].float()).square().mean() for a, b in pairs]).mean()

    within = torch.stack([distance(samples[:, group]) for group in range(3)]).mean()
    assert relative_spread(samples, real) == pytest.approx((within / distance(real)).sqrt().item(), rel=1e-5)


def points(*spreads):
    return [{"step": 10 * (at + 1), SPREAD: spread} for at, spread in enumerate(spreads)]


def test_a_collapse_is_five_points_below_one_percent_and_lasts_to_the_end():
    low, high = SHARE * 0.9, SHARE * 1.1
    assert collapsed_at_step(points(high, *[low] * POINTS)) == 20
    assert collapsed_at_step(points(*[low] * (POINTS - 1))) is None
    assert collapsed_at_step(points(*[low] * POINTS, high)) is None
    between = [
        point for one in points(*[low] * POINTS) for point in ({"step": one["step"] - 1, "train/loss": 1.0}, one)
    ]
    assert collapsed_at_step(between) == 10
    assert collapsed_at_step([]) is None


class Drawing(Objective):
    """Draws `samples` that become one image for each class at `step`."""

    def __init__(self, step):
        module = nn.Linear(2, 2)
        self.phases = [Phase("g", module, torch.optim.SGD(module.parameters(), lr=0.1))]
        self.collapses_at, self.done = step, 0

    def losses(self, phase, batch: Batch):
        return {"loss": self.phases[0].module(torch.ones(1, 2)).square().sum()}

    def after_step(self, step):
        self.done = step
        return {}

    def samples(self):
        different = images(8, 10, 1, 4, 4)
        return different[:1].expand(8, -1, -1, -1, -1) if self.done >= self.collapses_at else different

    def weights(self):
        return dict(self.phases[0].module.state_dict())


class Repeated:
    def rows(self, number):
        return torch.arange(8)

    def gather(self, rows):
        return images(8, 1, 4, 4), LABELS[:8]


@pytest.mark.parametrize(("step", "seen"), [(40, 40), (99, None)])
def test_the_loop_says_when_samples_became_one_image_for_each_class(step, seen, tmp_path, capsys):
    log = ListLog()
    training = Training(Drawing(step), Repeated(), 100)
    timing = train(training, log=log, checkpoint=Checkpoint(tmp_path, 0.0), precision="fp32")
    assert timing.summary()["collapsed_at_step"] == seen
    assert capsys.readouterr().out.count(f"collapsed at step {step}") == (1 if seen else 0)
    curve = {at: row[SPREAD] for at, row in log.rows if SPREAD in row}
    assert len(curve) == 50 and (curve[38] > 0.9) and curve[100] == 0.0


def test_a_collapse_before_an_interruption_is_remembered(tmp_path):
    class Stopping(ListLog):
        def log(self, metrics, step):
            super().log(metrics, step)
            if step == 70:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            Training(Drawing(60), Repeated(), 100),
            log=Stopping(),
            checkpoint=Checkpoint(tmp_path, 0.0),
            precision="fp32",
        )
    rest = train(
        Training(Drawing(60), Repeated(), 100), log=ListLog(), checkpoint=Checkpoint(tmp_path, 0.0), precision="fp32"
    )
    assert rest.resumed_from_step > 60 and rest.collapsed_at_step == 60

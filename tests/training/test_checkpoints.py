"""The checkpoint's file: its keys, what it puts back, and going on from another training's."""

import errno
import os
import resource
import signal
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import pytest
import torch
from safetensors.torch import save

from fakes import ListLog
from modescope.errors import UserError
from modescope.process import disk_trouble
from modescope.runs.folder import CHECKPOINT_FILE
from modescope.training import checkpoints
from modescope.training.checkpoints import TRAINED, Checkpoint, load_start, read_state
from modescope.training.meter import Meter
from small_cgans import run, training

TABLE_9_1 = {"model_state_dict", "optimizer_state_dict", "step", "metrics", "hyperparameters", "losses"}
HELD = {"mode": "cgan", "loss": "bce", "betas": [0.5, 0.999], "ema_decay": None}


@pytest.fixture
def kept(tmp_path):
    """trained.pt of three steps, and what was logged meanwhile."""
    log = ListLog()
    run(training(generator_steps=3), tmp_path / "first", log, hyperparameters=HELD, keep=True)
    return tmp_path / "first" / TRAINED, log


def equal(one, other):
    """Whether two states, nested alike, hold the same tensors and numbers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


def test_the_file_has_the_reports_keys(kept):
    path, log = kept
    state = torch.load(path, weights_only=True)
    assert state.keys() >= TABLE_9_1 and state["step"] == 3 and state["hyperparameters"] == HELD
    assert state["losses"] == [{"step": step, **row} for step, row in log.rows] and [
        row["step"] for row in state["losses"]
    ] == [1, 2, 3]
    assert state["metrics"] == state["losses"][-1] and state["metrics"]["train/d_loss"] > 0
    assert state["model_state_dict"].keys() == state["optimizer_state_dict"].keys() == {"d", "g"}


@pytest.mark.parametrize("loss", ["bce", "wgan-gp"])
def test_networks_and_momentum_come_back(loss, tmp_path):
    saved = training(loss=loss, generator_steps=2)
    run(saved, tmp_path, keep=True)
    state = load_start(tmp_path / TRAINED, {}, 3)
    fresh = training(loss=loss, generator_steps=3, seed=9)
    before = [phase.module.state_dict()["layers.0.bias"].clone() for phase in fresh.objective.phases]
    assert Checkpoint(tmp_path / "other", start=state).restore(fresh.objective, Meter()) == 2
    for start, phase, other in zip(before, fresh.objective.phases, saved.objective.phases, strict=True):
        assert equal(phase.module.state_dict(), other.module.state_dict())
        assert not torch.equal(start, phase.module.state_dict()["layers.0.bias"])
        moments, kept = (each.optimizer.state_dict()["state"] for each in (phase, other))
        assert equal(moments, kept) and all(weight["exp_avg_sq"].any() for weight in list(kept.values())[:-1])
        assert {weight["step"].item() for weight in moments.values()} == {2 * phase.steps}


def test_the_meter_goes_on(tmp_path):
    """Means over the steps before and after an interruption, the history, and the seconds."""
    objective, meter, checkpoint = training().objective, Meter(), Checkpoint(tmp_path)
    meter.add({"loss": torch.tensor(1.0)})
    meter.read(1)
    meter.add({"loss": torch.tensor(2.0)})
    meter.began -= 1000
    checkpoint.save(checkpoint.path, objective, 2, meter)
    resumed = Meter()
    assert checkpoint.restore(objective, resumed) == 2
    resumed.add({"loss": torch.tensor(4.0)})
    assert resumed.read(3) == {"train/loss": pytest.approx(3.0)}
    assert resumed.history == [{"step": 1, "train/loss": 1.0}, {"step": 3, "train/loss": 3.0}]
    assert resumed.seconds == pytest.approx(1000, abs=60)


def test_without_a_file_nothing_is_restored(tmp_path):
    objective, meter = training().objective, Meter()
    before = {name: value.clone() for name, value in objective.weights().items()}
    assert (
        Checkpoint(tmp_path).restore(objective, meter) == 0
        and equal(before, objective.weights())
        and meter.history == []
    )


@pytest.mark.parametrize("keep", [True, False])
def test_the_last_state_is_kept_if_asked(keep, tmp_path):
    weights = run(training(generator_steps=2), tmp_path, keep=keep)
    assert (tmp_path / TRAINED).exists() == keep
    if keep:
        kept = load_start(tmp_path / TRAINED, {}, 3)["model_state_dict"]["g"]
        assert equal(
            kept,
            {
                name.removeprefix("generator."): value
                for name, value in weights.items()
                if name.startswith("generator.")
            },
        )


KINDS = [
    {},
    {"loss": "wgan-gp", "mode": "dcgan"},
    {"loss": "hinge", "ema_decay": 0.9, "discriminator_labels": "projection"},
]


@pytest.mark.parametrize("kind", KINDS)
def test_more_steps_end_where_one_long_training_ends(kind, tmp_path):
    long, first, rest = ListLog(), ListLog(), ListLog()
    expected = {
        name: value.clone() for name, value in run(training(generator_steps=5, **kind), tmp_path / "long", long).items()
    }
    run(training(generator_steps=2, **kind), tmp_path / "first", first, keep=True)
    state = load_start(tmp_path / "first" / TRAINED, {}, 5)
    weights = run(training(generator_steps=5, **kind), tmp_path / "rest", rest, start=state, keep=True)
    assert equal(weights, expected)
    assert first.rows + rest.rows == long.rows and [step for step, _ in rest.rows] == [3, 4, 5]
    assert [row["step"] for row in load_start(tmp_path / "rest" / TRAINED, {}, 6)["losses"]] == [1, 2, 3, 4, 5]


def test_an_interrupted_training_goes_on_from_its_own_checkpoint_not_from_its_start(tmp_path):
    run(training(generator_steps=2), tmp_path / "first", keep=True)

    def go_on(folder, log):
        return run(training(), tmp_path / folder, log, start=load_start(tmp_path / "first" / TRAINED, {}, 6))

    log = ListLog(dies_at=5)
    expected = {name: value.clone() for name, value in go_on("whole", ListLog()).items()}
    with pytest.raises(KeyboardInterrupt):
        go_on("cut", log)
    log.dies_at = None
    start = load_start(tmp_path / "first" / TRAINED, {}, 6)
    assert Checkpoint(tmp_path / "cut", start=start).restore(training().objective, Meter()) == 4
    assert equal(go_on("cut", log), expected) and [step for step, _ in log.rows] == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("wanted", "steps", "message"),
    [
        ({"mode": "cgan", "loss": "hinge"}, 9, "was trained with loss=bce, not hinge: go on with the same loss"),
        ({"mode": "dcgan", "loss": "hinge"}, 9, "was trained with mode=cgan, not dcgan: go on with the same mode"),
        ({"width": 4}, 9, "was trained with width=None, not 4"),
        ({"ema_decay": 0.9}, 9, "was trained with ema_decay=None, not 0.9"),
        (HELD, 3, "has 3 steps already, the training ends at 3: raise the number of steps"),
        (HELD, 2, "has 3 steps already, the training ends at 2"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(kept, wanted, steps, message):
    with pytest.raises(UserError, match=message) as refusal:
        load_start(kept[0], wanted, steps)
    assert "\n" not in str(refusal.value) and str(kept[0]) in str(refusal.value)


def test_a_checkpoint_of_the_same_training_is_taken(kept):
    assert load_start(kept[0], HELD, 4)["step"] == 3


def stored(content):
    """The bytes that torch itself writes."""
    torch.save(content, file := BytesIO())
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no checkpoint at all",
        b"r\xe5\xc1\xd4\x10\xcd",
        b"U\xc8\x18\xad\x60\xa7",
        b"My",
        b"PK\x03\x04 cut off",
        save({"generator.layers.0.weight": torch.zeros(3)}),
        stored([1, 2]),
        stored({"step": 3}),
        stored({"step": 3, "hyperparameters": [1]}),
        stored({"step": "three", "hyperparameters": {"loss": "bce"}}),
    ],
    ids=range(11),
)
def test_what_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "some.pt"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"some\.pt is no checkpoint of ours \(\w+\): name a run's trained\.pt, or set it to null"
    ) as refusal:
        load_start(path, {"loss": "bce"}, 9)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere.pt", "is no file"), ("folder", r"is no checkpoint of ours \(IsADirectoryError\)")]
)
def test_where_no_file_is_that_is_said(name, message, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=f"{name} {message}: name a run's trained.pt, or set it to null") as refusal:
        load_start(tmp_path / name, {}, 9)
    assert "\n" not in str(refusal.value)


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A work folder with the checkpoint of a training that died at step 5."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(training(), tmp_path / "work", ListLog(dies_at=5))
    return tmp_path / "work" / CHECKPOINT_FILE


def flipped(content):
    """One bit of a weight is another: torch.load takes it."""
    with ZipFile(BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        at = content.index(archive.read(largest)) + largest.file_size // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


HARM = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "cut off": lambda content: content[: len(content) // 2],
    "end missing": lambda content: content[:-10],
    "a bit": flipped,
    "no pickle": lambda content: stored(["no", "state"]),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_checkpoint_is_put_aside_and_the_training_starts_over(harm, interrupted, tmp_path, capsys):
    expected = {name: value.clone() for name, value in run(training(), tmp_path / "whole", ListLog()).items()}
    damaged = harm(interrupted.read_bytes())
    interrupted.write_bytes(damaged)
    log = ListLog()
    assert equal(run(training(), interrupted.parent, log), expected) and [step for step, _ in log.rows][0] == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"the checkpoint {interrupted} is damaged (" in said and "starting over" in said
    (aside,) = Path(".dvc/tmp/aside").glob(f"*/{CHECKPOINT_FILE}")
    assert aside.read_bytes() == damaged


def test_a_flipped_bit_is_not_seen_by_torch_itself(interrupted):
    interrupted.write_bytes(flipped(interrupted.read_bytes()))
    assert torch.load(interrupted, weights_only=True)["step"] == 4
    with pytest.raises(BadZipFile, match="another checksum"):
        read_state(interrupted)


def test_a_checkpoint_of_another_training_is_put_aside_and_said(interrupted):
    other = training(loss="wgan-gp")
    with pytest.raises(UserError, match="is of another training .*: put aside as .*, run it again") as refusal:
        run(other, interrupted.parent, ListLog())
    assert not interrupted.exists() and "\n" not in str(refusal.value)


def test_a_checkpoint_that_may_not_be_read_is_left_alone(interrupted, monkeypatch):
    monkeypatch.setattr(checkpoints, "read_state", raising(PermissionError(errno.EACCES, "denied", "checkpoint.pt")))
    with pytest.raises(PermissionError):
        run(training(), interrupted.parent, ListLog())
    assert interrupted.exists()


def raising(error):
    def call(*_):
        raise error

    return call


def test_a_checkpoint_has_reached_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls, names = [], {}
    real_open, real_sync, real_replace = os.open, os.fsync, os.replace

    def opened(path, *rest, **options):
        descriptor = real_open(path, *rest, **options)
        names[descriptor] = Path(os.fsdecode(path)).name
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(names[descriptor]) or real_sync(descriptor))
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("replace") or real_replace(*paths))
    run(training(generator_steps=1), tmp_path / "work", keep=True)
    assert calls == [TRAINED, "replace", "work"]


def test_a_full_disk_is_said_with_the_name_of_the_checkpoint(tmp_path):
    """Under a limit on the size of files, which torch.save meets as it meets a full disk."""
    state, limits = training(), resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match="work/checkpoint.pt") as error:
            run(state, tmp_path / "work", keep=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert disk_trouble(error.value).startswith(f"cannot write {tmp_path / 'work' / CHECKPOINT_FILE}: file too large")
    assert [*(tmp_path / "work").iterdir()] == []

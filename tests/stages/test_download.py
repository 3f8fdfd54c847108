import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from modescope.data import sources
from modescope.data.batches import to_unit
from modescope.data.prepared import Dataset, load_prepared
from modescope.errors import UserError
from modescope.files import sha256
from modescope.stages import download

STANDARD = Path("profiles/standard.yaml").resolve()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A working folder whose params.yaml asks for the embedded digits."""
    params = yaml.safe_load(STANDARD.read_text()) | {"datasets": {"rgb": "digits-rgb", "grey": "digits"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("slot", "name", "channels"), [("rgb", "digits-rgb", 3), ("grey", "digits", 1)])
def test_the_slot_decides_the_dataset(workspace, slot, name, channels):
    out = workspace / "data" / slot
    download.main(slot, out)
    assert sorted(path.name for path in out.iterdir()) == ["test.safetensors", "train.safetensors"]
    train = load_prepared(out / "train.safetensors")
    assert (train.name, train.images.shape[1], len(train.labels)) == (name, channels, 1438)


def test_running_twice_gives_the_same_bytes(workspace):
    first, second = workspace / "data" / "first", workspace / "data" / "second"
    for folder in (first, second, second):
        download.main("grey", folder)
    for file in ("train.safetensors", "test.safetensors"):
        assert sha256(first / file) == sha256(second / file)


def test_a_folder_of_somebody_elses_is_refused_before_anything_is_fetched(workspace, capsys):
    before = sorted(workspace.rglob("*"))
    with pytest.raises(UserError, match="did not make"):
        download.main("grey", Path("."))
    assert sorted(workspace.rglob("*")) == before


def test_a_failure_leaves_the_earlier_output_and_nothing_half_written(workspace, monkeypatch):
    download.main("grey", workspace / "data" / "grey")
    before = sorted(workspace.rglob("*"))
    (workspace / "params.yaml").write_text(
        (workspace / "params.yaml").read_text().replace("grey: digits", "grey: mnist")
    )
    monkeypatch.setenv("MODESCOPE_MIRROR", "nowhere")
    with pytest.raises(UserError):
        download.main("grey", workspace / "data" / "grey")
    assert sorted(workspace.rglob("*")) == before


def test_bad_input_ends_in_one_line_and_exit_code_2(workspace, monkeypatch):
    (workspace / "params.yaml").write_text(
        (workspace / "params.yaml").read_text().replace("grey: digits", "grey: mnist")
    )
    monkeypatch.setenv("MODESCOPE_MIRROR", "nowhere")
    command = [sys.executable, "-m", "modescope.stages.download", "grey", "data/grey"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "MODESCOPE_MIRROR=nowhere" in done.stderr
    assert not (workspace / "data").exists()


@pytest.mark.parametrize(
    ("shape", "dtype", "brightest", "message"),
    [
        ((3, 32, 32), torch.uint8, 255, r"datasets.grey=digits: images of shape \(3, 32, 32\), the slot takes \(1, 28"),
        ((1, 28, 28), torch.float32, 255, "the source of made-up gives no train images: "),
        ((1, 28, 28), torch.uint8, 0, "all training images of made-up are black: "),
    ],
)
def test_what_no_training_could_use_is_refused_before_any(workspace, monkeypatch, shape, dtype, brightest, message):
    images = torch.full((4, *shape), brightest, dtype=dtype)
    made_up = Dataset("made-up", "computed", images, torch.arange(4), ("a", "b", "c", "d"))
    monkeypatch.setitem(sources.SOURCES, "digits", lambda: {"train": made_up, "test": made_up})
    with pytest.raises(UserError, match=message):
        download.main("grey", workspace / "out")
    assert not (workspace / "out").exists()


def test_the_brightest_training_pixel_becomes_255_and_a_mixture_can_be_fitted(workspace, monkeypatch, capsys):
    images = torch.arange(0, 255, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 28, 28)
    labels, classes = torch.arange(255) % 10, tuple("0123456789")
    train = Dataset("dim", "computed", images, labels, classes)
    test = replace(train, images=images + 1)  # one brighter than all training images
    monkeypatch.setitem(sources.SOURCES, "digits", lambda: {"train": train, "test": test})
    download.main("grey", workspace / "out")
    assert "the brightest pixel is 254, so all images are scaled by 255/254" in capsys.readouterr().out
    found = load_prepared(workspace / "out/train.safetensors").images
    assert to_unit(found).max() >= 1  # what pythae asks for
    assert found[[0, 1, 100, 254], 0, 0, 0].tolist() == [0, 1, 100, 255]
    assert load_prepared(workspace / "out/test.safetensors").images.max() == 255

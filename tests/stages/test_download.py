import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from modescope.data.prepared import load_prepared
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

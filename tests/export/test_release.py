"""Released generators: a clone that has trained nothing samples them, and git keeps no more than it should."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from modescope import cli
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.export import release as releasing
from modescope.export.folder import export_weights
from modescope.export.release import LARGEST, TOGETHER, release
from modescope.files import read_json
from modescope.runs.folder import WEIGHTS_FILE
from modescope.runs.listing import find_generator
from small_runs import write_run

RELEASED = Path("released").resolve()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def draw(run: str, out: str) -> None:
    cli.sample(run, Path(out), n=None, seed=7, label=8, grid=False)


def test_a_clone_that_has_trained_nothing_samples_what_is_released(folder, capsys):
    release(write_run("cgan-ours"))
    draw("cgan-ours", "trained.npz")
    assert "released" not in capsys.readouterr().out
    shutil.rmtree("models")
    draw("cgan-ours", "released.npz")
    said = capsys.readouterr().out.splitlines()[0]
    assert said.startswith("models/ has no cgan-ours: this is the released one (digits, 6,000 steps, key 0000")
    with np.load("trained.npz") as trained, np.load("released.npz") as released:
        assert np.array_equal(trained["images"], released["images"]) and released["labels"].tolist() == [8]
    with pytest.raises(UserError, match="unknown run `cgan-b`: there are cgan-ours"):
        draw("cgan-b", "a.npz")
    with pytest.raises(UserError, match="unknown run `cgan-ours`: there are none yet"):
        find_generator("cgan-ours")


def test_another_file_than_the_released_one_is_refused(folder):
    weights = release(write_run("cgan-ours"))
    shutil.rmtree("models")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match="is not the file that .*run.json names"):
        draw("cgan-ours", "a.npz")
    assert not Path("a.npz").exists()


def test_a_large_run_is_released_as_float16_and_the_card_says_what_that_costs(folder, monkeypatch):
    run = write_run("stage2-b-ff")
    whole = release(run)
    monkeypatch.setattr(releasing, "LARGEST", int(whole.stat().st_size * 0.8))
    halved = release(run)
    assert halved == whole == Path("released/two-stage/stage2-b-ff/model.safetensors")
    one, other = (load_sampler(place).sample(40, 3).images.int() for place in (run, halved.parent))
    assert 0 < (one - other).abs().max() <= 3
    assert "Weights are float16: of 256 images " in (halved.parent / "README.md").read_text(encoding="utf-8")
    info = read_json(halved.parent / "run.json")
    assert info["trained_sha256"] == read_json(run / "run.json")["weights_sha256"] != info["weights_sha256"]
    export_weights(halved.parent, Path("exported"))
    assert read_json(Path("exported/run.json"))["trained_sha256"] == info["trained_sha256"]
    monkeypatch.setattr(releasing, "LARGEST", 1000)
    with pytest.raises(UserError, match="stage2-b-ff takes .* MB in float16, and .* is the most"):
        release(run)


def test_git_keeps_no_more_than_its_share(folder, monkeypatch):
    first = release(write_run("cgan-ours"))
    monkeypatch.setattr(releasing, "TOGETHER", int(first.stat().st_size * 1.5))
    release(write_run("cgan-ours"))  # in its own place
    with pytest.raises(UserError, match="released/ would hold .*: `git rm -r` a run there first"):
        release(write_run("dcgan-bce"))
    assert [place.name for place in Path("released/cgan").iterdir()] == ["cgan-ours"]


def test_what_is_released_is_small_and_draws():
    files = sorted(RELEASED.glob(f"*/*/{WEIGHTS_FILE}"))
    if not files:
        pytest.skip("nothing is released yet")
    sizes = [file.stat().st_size for file in files]
    assert max(sizes) <= LARGEST and sum(sizes) <= TOGETHER
    assert {file.parent.parent.name for file in files} == {"cgan", "imbalance", "two-stage"}
    for file in files:
        images = load_sampler(file.parent).sample(8, 0).images
        assert len(torch.unique(images.flatten(1), dim=0)) == 8
        assert "| *real images (floor)* |" in (file.parent / "README.md").read_text(encoding="utf-8")

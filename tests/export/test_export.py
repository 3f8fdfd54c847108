"""Exported models: what leaves the repository draws what the run draws, and its card's lines do it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.export.folder import export
from modescope.files import write_json
from small_runs import KINDS, write_run

onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
from modescope.export.onnx import Drawing, drawing_of  # noqa: E402

SCORES = {"fid_classifier": 0.854, "class_consistency": 0.991, "num_samples": 10000}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_onnx(file: Path, **inputs: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]


@pytest.mark.parametrize("run", KINDS)
def test_onnx_draws_what_torch_draws_at_any_batch_size(run):
    sampler = load_sampler(write_run(run))
    file = export(Path("models", KINDS[run][0], run), "onnx", Path("out"))
    z = torch.randn(7, sampler.generator.latent_dim, generator=torch.Generator().manual_seed(3))
    labels = {} if sampler.num_classes is None else {"labels": torch.tensor([9, 0, 3, 3, 1, 8, 2])}
    with torch.no_grad():
        drawn = Drawing(sampler)(z, *labels.values())
    wanted = sampler.sample(7, 3, *labels.values()).images
    found = torch.from_numpy(run_onnx(file, z=z, **labels))
    assert found.dtype == torch.float32 and torch.allclose(found, drawn, atol=1e-4)
    assert (to_uint8(found, low=-1.0).int() - wanted.int()).abs().max() <= 1 and wanted.float().std() > 1
    alone = run_onnx(file, z=z[:1], **{name: each[:1] for name, each in labels.items()})
    assert np.allclose(alone, found[:1], atol=1e-4)


def test_the_label_decides_and_the_file_says_what_it_is():
    file = export(write_run("cgan-ours"), "onnx", Path("out"))
    z = torch.randn(1, 6).expand(10, 6).contiguous()
    images = run_onnx(file, z=z, labels=torch.arange(10))
    assert len({image.tobytes() for image in images}) == 10
    facts = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert facts["run"] == "cgan-ours" and len(facts["weights_sha256"]) == 64


@pytest.mark.parametrize("run", ["cgan-ours", "gan-split1"])
@pytest.mark.parametrize("to", ["onnx", "safetensors"])
def test_the_cards_lines_load_the_model(run, to, monkeypatch):
    write_json(Path("metrics", KINDS[run][0], f"{run}.json"), SCORES)
    floor = {"cgan-ours": "cgan/real-digits", "gan-split1": "imbalance/real-split1"}[run]
    write_json(Path(f"metrics/{floor}.json"), SCORES | {"fid_classifier": 0.079})
    out = export(write_run(run), to, Path("exports") / run / to).parent
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| *real images (floor)* | *10,000* | *0.079* |" in card and f"| {run} | 10,000 | 0.854 | 99.1 |" in card
    for said in ("digits, split split1, 60 images", "6,000 steps, 68 seconds on cpu", "MIT", "commit 3ebe982da80f"):
        assert said in card
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(out)
    names: dict = {}
    exec(lines, names)
    assert lines.count("\n") <= 5
    pixels = np.asarray(names.get("pixels", names["images"]))
    channels, side = (1, 28) if run == "cgan-ours" else (3, 32)
    assert pixels.dtype == np.uint8 and pixels.shape == (8, channels, side, side)


def test_safetensors_is_a_run_without_its_discriminator():
    run = write_run("stage2-b-ff")
    file = export(run, "safetensors", Path("out"))
    assert torch.equal(load_sampler(run).sample(9, 4).images, load_sampler(file.parent).sample(9, 4).images)
    assert file.stat().st_size < (run / "model.safetensors").stat().st_size - 10_000 * 0.9


def test_an_export_replaces_its_own_folder_and_no_other():
    run = write_run("cgan-ours")
    for _ in range(2):
        export(run, "safetensors", Path("exports/cgan-ours"))
    Path("mine").mkdir()
    Path("mine/thesis.tex").touch()
    with pytest.raises(UserError, match="mine is a folder that the pipeline did not make"):
        export(run, "safetensors", Path("mine"))
    assert [*Path("mine").iterdir()] == [Path("mine/thesis.tex")]


def test_what_cannot_be_exported_is_said_and_leaves_nothing():
    run = write_run("cgan-ours")
    with pytest.raises(UserError, match="--to tflite is unknown: there are onnx, safetensors"):
        export(run, "tflite", Path("out"))
    (run / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="is not the file that .*run.json names"):
        export(run, "onnx", Path("out"))
    with pytest.raises(UserError, match="vae-split1 is a VAE, .* name a GAN, or take --to safetensors"):
        drawing_of(object(), "vae-split1")
    assert not Path("out").exists()

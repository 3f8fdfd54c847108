"""Exported models: what leaves the repository draws what the run draws, and its card's lines do it."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from modescope import cli
from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.onnx import Drawing, drawing_of
from modescope.export.folder import export
from modescope.files import write_json
from modescope.process import exit_readably
from small_places import write_place
from small_runs import KINDS, write_run

onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
from modescope.export.cost import draw, open_session  # noqa: E402

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


@pytest.mark.parametrize("run", KINDS)
def test_int8_is_near_float32_at_any_batch_size(run):
    folder = write_run(run)
    whole, small = (export(folder, "onnx", Path("exports", f"{int8}"), int8) for int8 in (False, True))
    inputs = Drawing(load_sampler(folder)).inputs(70, seed=3)
    one, other = (run_onnx(file, **inputs) for file in (whole, small))
    assert 0 < np.sqrt(np.mean((one - other) ** 2)) < 0.15 * one.std()  # 0.7 to 11 % of untrained networks
    alone = run_onnx(small, **{name: each[:1] for name, each in inputs.items()})
    assert np.abs(alone - other[:1]).max() < 1e-4
    model = onnx.load(small)
    weights = [each for each in model.graph.initializer if len(each.dims) > 1]
    assert sum(each.data_type == onnx.TensorProto.INT8 for each in weights) >= 2
    facts = {each.key: each.value for each in model.metadata_props}
    assert (facts["run"], facts["precision"]) == (run, "int8")


@pytest.mark.parametrize("run", ["cgan-ours", "gan-split1", "stage1", "gan-ours-split1"])
def test_the_files_inputs_are_those_of_the_runs_own_samples(run):
    sampler = load_sampler(write_run(run))
    drawing, wanted = drawing_of(sampler, run), sampler.sample(9, 3)
    inputs = drawing.inputs(9, 3)
    assert ("labels" in inputs) == (wanted.labels is not None)
    assert wanted.labels is None or torch.equal(inputs["labels"], wanted.labels)
    with torch.no_grad():
        images = to_uint8(drawing(*inputs.values()), low=-1.0)
    assert (images.int() - wanted.images.int()).abs().max() <= 1


def test_the_card_has_what_each_precision_costs():
    write_place()
    run = write_run("cgan-ours")
    out = export(run, "onnx", Path("exports/a"), int8=True, measured=60).parent
    card = (out / "README.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0][2:]: line.strip("| ").split(" | ") for line in card.splitlines() if " | 60 | " in line}
    assert [*rows] == ["float32", "bf16", "int8"] and all(len(row) == 7 for row in rows.values())
    sizes = {name: float(row[1]) for name, row in rows.items()}
    assert sizes["int8"] == pytest.approx((out / "generator.onnx").stat().st_size / 1e6, abs=0.0006)
    assert 0 < sizes["bf16"] < sizes["float32"]
    assert all(float(cell) > 0 for row in rows.values() for cell in row[2:4])
    assert re.search(r"int8 against float32: [\d.]+ x smaller, .* FID [+-][\d.]+%, class consistency [+-]", card)
    assert re.search(r"Where the time of 64 images goes: float32: \w.* \d+%; int8: .*QLinearConv \d+%", card)
    assert "Its layers are int8" in card and "fid_classifier: 60 measured images leave" not in card
    drawn = draw(open_session(out / "generator.onnx"), drawing_of(load_sampler(run), "cgan-ours").inputs(60, 1234))
    assert drawn.dtype == torch.uint8 and len(drawn) == 60


def test_without_a_judge_the_card_says_why_there_are_no_scores():
    folder = write_run("gan-split1")
    for reason in ("params.yaml", "holds digits, split split2, and gan-split1 was trained on other images"):
        card = export(folder, "onnx", Path("exports/a"), measured=30).with_name("README.md").read_text(encoding="utf-8")
        assert re.search(f"> Not scored: .*{reason}", card) and "ms, one image" in card and "FID" not in card
        assert "Its layers are int8" not in card
        write_place()
        data = {"name": "digits", "classes": [], "split": "split2"}
        write_json(Path("data/reference/split1/run.json"), {"data": data})


class WithoutOnnxruntime:
    """An importer for which the package is not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "onnxruntime":
            raise ModuleNotFoundError(name, name=name)


@pytest.mark.parametrize(
    ("to", "options", "line"),
    [
        ("safetensors", {"int8": True}, "--int8 and --measure are of ONNX files: take --to onnx"),
        ("safetensors", {"measure": 9}, "--int8 and --measure are of ONNX files: take --to onnx"),
        ("onnx", {"int8": True}, "the package onnxruntime is not installed"),
        ("onnx", {"measure": 9}, "the package onnxruntime is not installed"),
    ],
)
def test_what_int8_cannot_be_is_one_line(to, options, line, monkeypatch, capsys):
    write_run("cgan-ours")
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [WithoutOnnxruntime, *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        exit_readably(lambda: cli.export("cgan-ours", to, Path("out"), **{"int8": False, "measure": None} | options))
    said = capsys.readouterr().err
    assert ended.value.code == 2 and line in said and said.count("\n") == 1
    assert not Path("out").exists()

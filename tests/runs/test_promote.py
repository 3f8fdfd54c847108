"""`modescope promote`: a model in the registry that loads without this repository."""

import shutil
import subprocess
import sys
from pathlib import Path

import mlflow.onnx
import numpy as np
import pytest

import small_cgans
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.onnx import drawing_of
from modescope.evaluation.vae_samplers import VaeSampler
from modescope.files import read_json, write_json
from modescope.mlflow.filing import push
from modescope.mlflow.promote import _write_onnx, promote
from modescope.mlflow.store import open_store
from modescope.models.weights import save_weights
from modescope.runs.listing import refuse_unfinished
from modescope.runs.log import RunLog
from servers import free_port, mlflow_server
from tracked_runs import run_info


def trained(run: str = "cgan-ours", key: str = "00000000000000ca", seed: int = 1) -> Path:
    """The folder of a small conditional GAN, trained for no step."""
    info = run_info(key=key, study="cgan", run=run, model="cgan", params=small_cgans.config().model_dump())
    with RunLog(info, Path(".ckpt") / key, push) as log:
        save_weights(small_cgans.training(seed).objective.weights(), log.folder)
        (log.folder / "trained.pt").write_bytes(b"a checkpoint")
        log.finish(Path("models/cgan") / run)
    return Path("models/cgan") / run


SOMEBODY_ELSE = """
import sys
MISSING = "dvc torchmetrics torch_fidelity pythae airbench typer jinja2 matplotlib"
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {*MISSING.split()}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
import mlflow, numpy, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/cgan@best")
numpy.save(sys.argv[2], model.predict(pandas.DataFrame({"n": [2, 1], "label": [8, 3], "seed": [7, 7]})))
numpy.save(sys.argv[3], model.predict(pandas.DataFrame({"n": [4]})))
"""


def load_elsewhere(uri: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What the promoted model draws in a process that has only the store, and not our dependencies."""
    folder.mkdir()
    command = [sys.executable, "-I", "-c", SOMEBODY_ELSE, uri, folder / "labelled.npy", folder / "plain.npy"]
    subprocess.run(command, check=True, cwd=folder)
    return np.load(folder / "labelled.npy"), np.load(folder / "plain.npy")


def test_a_promoted_model_draws_the_runs_images_wherever_it_is_loaded(project, tmp_path):
    folder = trained()
    done = promote(folder, "best")
    assert (done.model, done.version, done.is_new) == ("cgan", "1", True)
    sampler = load_sampler(folder)
    expected = sampler.sample(4, 0).images.numpy()
    eights, three = (sampler.sample(n, 7, np_labels(n, label)).images.numpy() for n, label in ((2, 8), (1, 3)))
    shutil.rmtree("models")
    labelled, plain = load_elsewhere(f"sqlite:///{project / 'mlflow.db'}", tmp_path / "elsewhere")
    assert plain.dtype == np.uint8 and plain.shape == (4, 1, 28, 28) and (plain == expected).all()
    assert (labelled == np.concatenate([eights, three])).all()


def np_labels(count, label):
    import torch

    return torch.full((count,), label)


def test_the_same_run_is_promoted_once_and_the_alias_moves(project):
    first = trained()
    assert promote(first, "best").version == "1"
    repeated = promote(first, "best")
    assert (repeated.version, repeated.is_new) == ("1", False)
    other = trained("cgan-bce", "00000000000000cb", seed=2)
    write_json(Path("metrics/cgan/cgan-bce.json"), {"class_consistency": 0.5, "fid_classifier": 1.2345})
    assert promote(other, "best").version == "2"
    client = open_store().client
    version = client.get_model_version_by_alias("cgan", "best")
    info = read_json(other / "run.json")
    assert version.description == "cgan-bce: judge's FID 1.23, class consistency 0.5"
    assert str(version.version) == "2" and version.tags == {
        "run": "cgan-bce",
        "key": info["key"],
        "weights_sha256": info["weights_sha256"],
    }
    assert (
        promote(first, "best").version == "1" and str(client.get_model_version_by_alias("cgan", "best").version) == "1"
    )
    assert len(client.search_model_versions("name = 'cgan'")) == 2
    run = client.get_run(version.run_id)
    assert (run.info.status, run.data.tags["run"]) == ("FINISHED", "cgan-bce")
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    assert (model.experiment_id, model.source_run_id, model.status) == (run.info.experiment_id, version.run_id, "READY")
    artifacts = Path(model.artifact_location.removeprefix("file://"))
    assert sorted(file.name for file in (artifacts / "data" / "generator").iterdir()) == [
        "model.safetensors",
        "run.json",
    ]


def test_a_promoted_gan_is_an_onnx_model_too(project, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = trained()
    done = promote(folder, "best")
    assert done.no_onnx == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    model = mlflow.onnx.load_model("models:/cgan@best")
    assert {each.key: each.value for each in model.metadata_props}["run"] == "cgan-ours"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = drawing_of(load_sampler(folder), "cgan-ours").inputs(5, seed=3)
    images = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    wanted = load_sampler(folder).sample(5, seed=3).images.numpy()
    assert np.abs((images + 1) * 127.5 - wanted).max() <= 1


def test_without_onnx_a_model_is_promoted_and_the_flavour_left_out(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = promote(trained(), "best")
    assert done.is_new and done.no_onnx.startswith("the package onnx is not installed: ")
    assert promote(Path("models/cgan/cgan-ours"), "best").no_onnx == ""
    model = open_store().client.search_model_versions("name = 'cgan'")[0].source
    place = open_store().client.get_logged_model(model.removeprefix("models:/")).artifact_location
    assert [*mlflow.models.Model.load(place).flavors] == ["python_function"]
    assert _write_onnx(Path("none"), VaeSampler.__new__(VaeSampler), {"run": "vae-split1"}).startswith(
        "vae-split1 is a VAE"
    )


def test_through_a_server_that_hands_out_artifacts(project, tmp_path, monkeypatch):
    port = free_port()
    with mlflow_server(f"sqlite:///{project / 'mlflow.db'}", tmp_path / "artifacts", port, tmp_path / "log"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        assert (
            promote(trained(), "best").link
            == f"http://127.0.0.1:{port}/#/models/cgan/versions/1?workflowType=machine_learning"
        )
        assert not promote(Path("models/cgan/cgan-ours"), "best").is_new
        _, plain = load_elsewhere(f"http://127.0.0.1:{port}", tmp_path / "elsewhere")
    assert plain.shape == (4, 1, 28, 28) and list((tmp_path / "artifacts").rglob("model.safetensors"))


def test_what_cannot_be_promoted_is_said(project, monkeypatch):
    folder = trained()
    for alias in ("v1", "latest", "no good"):
        with pytest.raises(UserError, match=f"alias `{alias}` is refused"):
            promote(folder, alias)
    write_json(Path(".ckpt/00000000000000cc/run.json"), {"run": "cgan-late", "status": "killed"})
    with pytest.raises(UserError, match="run cgan-late is killed, not finished: `dvc repro`"):
        refuse_unfinished("cgan-late")
    refuse_unfinished("cgan-ours")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="127.0.0.1:1 cannot be used .* then run `modescope promote`"):
        promote(folder, "best")

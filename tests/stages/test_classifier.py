from pathlib import Path

import pytest
import torch
import yaml

from modescope.data.prepared import Dataset, save_prepared
from modescope.errors import UserError
from modescope.files import read_json
from modescope.models.classifiers import load_classifier, load_judge
from modescope.stages import classifier

PARAMS = Path("params.yaml").resolve()
CLASSES = ("dark", "dim", "light")
TINY = {
    "epochs": 12.0,
    "batch_size": 16,
    "lr": 9.0,
    "translate_pixels": 1,
    "cutout_pixels": 0,
    "calibration_images": 12,
}
WIDTHS = {"rgb-guide": [4, 6, 8], "rgb-judge": [4, 6], "grey-judge": [4, 6, 8, 10]}
METRICS = {"accuracy", "accuracy_per_class", "nll", "ece_before", "ece_after", "temperature", "num_test", "seconds"}


def save_dataset(folder, shape):
    """Three classes of brightness."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 60), ("test", 30)):
        labels = torch.arange(count) % 3
        noise = torch.randint(0, 60, (count, *shape), generator=generator)
        images = (noise + 80 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
        save_prepared(Dataset("bright", "made", images, labels, CLASSES), folder / f"{split}.safetensors", split)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Tiny settings for the three classifiers and tiny data of both slots; collects what is filed."""
    params = yaml.safe_load(PARAMS.read_text())
    for name, widths in WIDTHS.items():
        params["classifiers"][name] |= TINY | {"widths": widths}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    for name, value in {"DVC_ROOT": str(tmp_path), "MODESCOPE_DEVICE": "cpu"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    save_dataset(tmp_path / "data" / "rgb", (3, 32, 32))
    save_dataset(tmp_path / "data" / "grey", (1, 28, 28))
    filed = []
    monkeypatch.setattr(classifier, "push", lambda *arguments, **live: None if live else filed.append(arguments))
    return filed


def fit(name, data=None, out="out"):
    classifier.main(name, Path("data") / (data or name.split("-")[0]), Path(out), Path("metrics.json"))
    return read_json("metrics.json")


@pytest.mark.parametrize("name", WIDTHS)
def test_a_trained_classifier_with_its_scores(name, workspace):
    metrics = fit(name)
    assert set(metrics) == METRICS and metrics["num_test"] == 30
    assert metrics["accuracy"] == pytest.approx(sum(metrics["accuracy_per_class"]) / 3)
    assert metrics["accuracy"] > 0.6
    loaded, info = load_classifier(Path("out")), read_json("out/run.json")
    assert loaded.temperature.item() == pytest.approx(metrics["temperature"])
    assert (info["study"], info["run"], info["status"], info["data"]["name"]) == (
        "classifiers",
        name,
        "finished",
        "bright",
    )
    assert info["params"]["classifiers"][name]["widths"] == WIDTHS[name]
    assert Path("out/curves.csv").read_text(encoding="utf-8").startswith("step,train/")
    assert workspace == [(Path("out"), metrics)]


def test_the_guide_of_params_yaml_is_no_judge(workspace):
    fit("rgb-guide")
    with pytest.raises(UserError, match="is a guide"):
        load_judge(Path("out"))


def test_same_seed_same_bytes(workspace):
    first, repeated = fit("grey-judge"), fit("grey-judge", out="repeated")
    assert Path("out/model.safetensors").read_bytes() == Path("repeated/model.safetensors").read_bytes()
    assert {**first, "seconds": 0} == {**repeated, "seconds": 0}


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("rgb-jury", "rgb", "no classifier `rgb-jury`: there are "),
        ("grey-judge", "rgb", r"digit-cnn takes images \(3, 28, 28\), bright has \(3, 32, 32\)"),
        ("rgb-judge", "none", "train.safetensors is missing"),
    ],
)
def test_bad_input_is_refused(name, data, message, workspace):
    with pytest.raises(UserError, match=message):
        fit(name, data)
    assert not Path("out").exists() and not Path("metrics.json").exists()

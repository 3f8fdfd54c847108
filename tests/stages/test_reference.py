import json
from pathlib import Path

import pytest
import torch
import yaml

from modescope.data.prepared import Dataset, load_prepared, save_prepared
from modescope.data.splits import draw_split, draw_splits
from modescope.errors import UserError
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.reference import REFERENCE, load_reference
from modescope.files import read_json
from modescope.mlflow import filing
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.stages import reference

PARAMS = Path("params.yaml").resolve()
EVALUATION = {"num_samples": 60, "prdc_samples": 50, "kid_subsets": 3, "kid_subset_size": 10, "is_splits": 2}
CLASSES = ("ant", "bee", "cat", "dog")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Noise images of four classes, a split with three of them, an untrained judge and guide."""
    params = yaml.safe_load(PARAMS.read_text())
    params["evaluation"] |= EVALUATION
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MODESCOPE_DEVICE", "cpu")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    generator = torch.Generator().manual_seed(0)
    for name, count in (("train", 160), ("test", 80)):
        labels = torch.arange(count) % len(CLASSES)
        images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
        save_prepared(
            Dataset("noise", "noise", images, labels, CLASSES), tmp_path / "data" / f"{name}.safetensors", name
        )
    draw_split(torch.arange(160) % len(CLASSES), CLASSES, {"cat": 36, "ant": 20, "dog": 4}, 0, "split1").save(
        Path("split1.json")
    )
    for role in ("judge", "guide"):
        torch.manual_seed(0)
        save_weights(build_classifier("resnet", [4, 6], len(CLASSES), 3, role).state_dict(), tmp_path / role)
        settings = {"network": "resnet", "widths": [4, 6], "role": role}
        info = {"run": role, "params": {"classifiers": {role: settings}}, "data": {"classes": CLASSES}}
        (tmp_path / role / "run.json").write_text(json.dumps(info))
    return tmp_path


def build(split="split1", judge="judge", out="data/reference/split1", file="split1.json"):
    reference.main(split, Path("data"), Path(file), Path(judge), Path(out), Path("metrics/imbalance/real-split1.json"))


def test_reference_set_floor_and_run(workspace):
    build()
    assert sorted(path.name for path in Path("data/reference/split1").iterdir()) == [REFERENCE, "run.json"]
    info, floor = read_json("data/reference/split1/run.json"), read_json("metrics/imbalance/real-split1.json")
    assert (info["run"], info["model"], info["study"], info["status"]) == (
        "real-split1",
        "real",
        "imbalance",
        "finished",
    )
    assert info["data"]["split"] == "split1" and info["data"]["classes"] == list(CLASSES)
    assert info["params"]["evaluation"]["kid_subset_size"] == 10
    assert (floor["num_reference"], floor["num_samples"]) == (60, 33)  # the 20 cats of the test set are 0.6 of them
    assert floor["reference_share"] == pytest.approx([20 / 60, 0, 36 / 60, 4 / 60])
    assert floor["warnings"] and "seconds" not in floor
    assert filing.read_final("imbalance", [info["key"]])[info["key"]]["fid_classifier"] == floor["fid_classifier"]


def test_a_long_tailed_split_is_measured_against_the_balanced_set(workspace):
    """Reference and floor are balanced, and the groups are those of the split's own counts."""
    _, tail = draw_splits(load_prepared(Path("data/train.safetensors")), [], {}, 0, 0, {"lt20": 20.0})
    tail.save(Path("lt20.json"))
    assert tail.counts == (40, 14, 5, 2)
    build("lt20", file="lt20.json")
    floor = read_json("metrics/imbalance/real-split1.json")
    assert (floor["num_reference"], floor["num_samples"]) == (160, 60) and floor["reference_share"] == [0.25] * 4
    assert floor["num_many"] + floor["num_medium"] + floor["num_few"] == 60 and len(floor["recall_of_class"]) == 4
    stored = load_reference(
        Path("data/reference/split1"), load_extractors(["judge"], Path("judge"), torch.device("cpu"))
    )
    assert stored.training_counts.tolist() == [40, 14, 5, 2] and stored.split == "lt20"


def test_same_input_same_bytes(workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    build(out="first")
    floor = Path("metrics/imbalance/real-split1.json").read_bytes()
    build(out="second")
    assert Path("metrics/imbalance/real-split1.json").read_bytes() == floor
    assert Path("first", REFERENCE).read_bytes() == Path("second", REFERENCE).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judge": "guide"}, "is a guide"),
        ({"judge": "nowhere"}, "is missing"),
        ({"split": "split2"}, "holds the split split1, not split2"),
    ],
)
def test_bad_input_leaves_nothing(workspace, change, message):
    before = sorted(workspace.rglob("*"))
    with pytest.raises(UserError, match=message):
        build(**change)
    assert sorted(workspace.rglob("*")) == before

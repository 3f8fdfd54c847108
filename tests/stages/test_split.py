from pathlib import Path

import pytest
import yaml

from modescope.data.prepared import load_prepared, save_prepared
from modescope.data.sources import fetch
from modescope.data.splits import Split
from modescope.errors import UserError
from modescope.stages import split

STANDARD = Path("profiles/standard.yaml").resolve()
PLAN = {
    "seed": 42,
    "total": 300,
    "classes": ["three", "five", "seven"],
    "counts": {"split1": [100, 100, 100], "split2": [120, 120, 60], "split3": [130, 130, 40], "split4": [139, 139, 22]},
    "long_tailed": {"lt10": 10.0},
}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A working folder with prepared digits below rgb/; `plan(...)` writes params.yaml."""
    save_prepared(fetch("digits-rgb")["train"], tmp_path / "rgb" / "train.safetensors", "train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _plan(**changes):
    params = yaml.safe_load(STANDARD.read_text()) | {"split": PLAN | changes}
    params["imbalance"]["splits"].remove("lt100")
    params["imbalance"]["ours"].remove("lt100")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def test_every_split_becomes_a_file(workspace):
    _plan()
    split.main(workspace / "rgb", workspace / "splits")
    names = ["balanced", "lt10", "split1", "split2", "split3", "split4"]
    assert sorted(path.stem for path in (workspace / "splits").iterdir()) == names
    train = load_prepared(workspace / "rgb" / "train.safetensors")
    for name in names:
        drawn = Split.load(workspace / "splits" / f"{name}.json")
        images, labels = drawn.select(train)
        assert (drawn.name, len(images), len(labels)) == (name, sum(drawn.counts), sum(drawn.counts))
    assert drawn.counts == (139, 139, 22)


def test_a_split_that_cannot_be_drawn_leaves_the_earlier_output(workspace):
    _plan()
    split.main(workspace / "rgb", workspace / "splits")
    before = {path: path.read_bytes() for path in (workspace / "splits").iterdir()}
    _plan(total=900, counts={f"split{k}": [300, 300, 300] for k in range(1, 5)})
    with pytest.raises(UserError, match="split split1: class three is too small, it has 146 images and needs 300"):
        split.main(workspace / "rgb", workspace / "splits")
    assert {path: path.read_bytes() for path in (workspace / "splits").iterdir()} == before
    assert sorted(path.name for path in workspace.iterdir()) == ["params.yaml", "rgb", "splits"]


def test_data_that_are_not_there_name_the_command_that_makes_them(workspace):
    _plan()
    with pytest.raises(UserError, match="run `dvc repro download`"):
        split.main(workspace / "grey", workspace / "splits")

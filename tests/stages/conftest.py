"""A working folder with tiny data, as several stage tests need it."""

from pathlib import Path

import pytest
import yaml

from modescope.config import merge
from modescope.data.prepared import save_prepared
from modescope.data.sources import fetch
from modescope.data.splits import draw_splits


@pytest.fixture(scope="module")
def make_project(tmp_path_factory):
    """Makes a working folder with digits, their splits and the given params.yaml; a module's tests then run there."""
    with pytest.MonkeyPatch.context() as patch:

        def make(params: dict) -> Path:
            folder = tmp_path_factory.mktemp("project")
            (folder / "params.yaml").write_text(yaml.safe_dump(params))
            train, plan = fetch("digits-rgb")["train"], params["split"]
            save_prepared(train, folder / "data" / "rgb" / "train.safetensors", "train")
            for split in draw_splits(train, plan["classes"], plan["counts"], plan["total"], plan["seed"]):
                split.save(folder / "data" / "splits" / f"{split.name}.json")
            patch.chdir(folder)
            for name in ("DVC_ROOT", "DVC_STAGE", "MLFLOW_TRACKING_URI"):
                patch.delenv(name, raising=False)
            patch.setenv("MODESCOPE_DEVICE", "cpu")
            return folder

        yield make


@pytest.fixture
def change_params():
    """Changes values of params.yaml until the test ends."""
    kept = Path("params.yaml").read_text(encoding="utf-8")
    yield lambda changes: Path("params.yaml").write_text(
        yaml.safe_dump(merge(yaml.safe_load(kept), changes)), encoding="utf-8"
    )
    Path("params.yaml").write_text(kept, encoding="utf-8")

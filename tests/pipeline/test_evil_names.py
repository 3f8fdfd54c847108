"""`dvc repro` of a params.yaml whose names are paths and commands: nothing runs, nothing is removed."""

import pytest

from benchmarks.clones import copy_of_the_repository, run
from modescope.config import merge, profile_values, read_yaml
from modescope.files import write_json


@pytest.mark.parametrize("evil", ["'; touch x; '", "../../docs"])
def test_dvc_runs_no_command_and_removes_no_folder_for_a_name_that_is_none(tmp_path, evil):
    folder = copy_of_the_repository(tmp_path / "clone")
    values = merge(profile_values("standard"), {"cgan": {"ours": {evil: {"loss": "bce"}}}})
    write_json(folder / "params.yaml", values)  # JSON is YAML
    assert read_yaml(folder / "params.yaml") == values
    printed, _ = run("dvc repro cgan-ours", folder, expect=255)
    assert "is no name" in printed and "Traceback" not in printed
    assert not (folder / "x").exists() and (folder / "docs/design.md").exists()

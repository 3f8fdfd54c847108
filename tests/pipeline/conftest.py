"""The demo, run once for all tests of the pipeline."""

import os
from pathlib import Path

import pytest

from clones import commit, copy_of_the_repository, run, without_a_store


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """A clone in which `make demo`'s commands have run, what they printed, and the seconds they took.

    `$MODESCOPE_DEMO` names a clone in which they ran before, which is copied: for work on one test, minutes less.
    Nothing was printed then and there are no seconds.
    """
    ready = os.environ.get("MODESCOPE_DEMO")
    if ready:
        folder = without_a_store(Path(ready), tmp_path_factory.mktemp("clone") / "demo")
        run("dvc repro", folder)
        return folder, "", None
    folder = copy_of_the_repository(tmp_path_factory.mktemp("clone"))
    run("modescope use demo", folder)
    return folder, *run("dvc repro", folder)


@pytest.fixture
def clone(demo, tmp_path):
    """A copy of the demo's clone for one test, everything up to date and committed, with no MLflow store yet."""
    folder = without_a_store(demo[0], tmp_path / "project")
    commit(folder, "demo")
    return folder

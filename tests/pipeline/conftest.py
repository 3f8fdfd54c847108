"""The demo, run once for all tests of the pipeline and all of pytest's workers."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from benchmarks.clones import commit, copy_of_the_repository, run, without_a_store
from modescope.files import read_json, write_json


class Demo(NamedTuple):
    """A clone in which `make demo`'s commands ran, what they printed and the seconds they took (None: they ran before).

    Attributes:
        folder: where they ran, for the one module of tests that goes on there.
        template: a copy without MLflow store, which no test changes.
    """

    folder: Path
    template: Path
    printed: str
    seconds: float | None


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Demo:
    """The demo. `$MODESCOPE_DEMO` names a clone in which it ran before, which is copied: minutes less while working on
    one test.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, template, facts = shared / "demo", shared / "template", shared / "demo.json"
    with FileLock(shared / "demo.lock"):
        if not facts.exists():
            assert not folder.exists(), "the demo failed in the test that needed it first"
            printed, seconds = run_demo(folder)
            without_a_store(folder, template)
            write_json(facts, {"printed": printed, "seconds": seconds})
    return Demo(folder, template, **read_json(facts))


def run_demo(folder: Path) -> tuple[str, float | None]:
    """Run `make demo`'s commands in a new clone; what they printed and the seconds they took."""
    ready = os.environ.get("MODESCOPE_DEMO")
    if ready:
        without_a_store(Path(ready), folder)
        run("dvc repro", folder)
        return "", None
    copy_of_the_repository(folder)
    run("modescope use demo", folder)
    return run("modescope repro", folder)


@pytest.fixture(scope="module")
def new_clone(demo, tmp_path_factory):
    """Makes a copy of the demo's clone, everything up to date and committed, with no MLflow store yet."""

    def make() -> Path:
        folder = without_a_store(demo.template, tmp_path_factory.mktemp("clone") / "project")
        commit(folder, "demo")
        return folder

    return make


@pytest.fixture
def clone(new_clone) -> Path:
    """A clone for one test."""
    return new_clone()

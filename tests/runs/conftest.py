"""A project folder with an MLflow database of its own."""

import os
import shutil
from pathlib import Path

import pytest

from modescope.mlflow.store import Store


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """An empty MLflow database: making one takes seconds, copying it nothing."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    Store(f"sqlite:///{file}", file.parent)
    return file


@pytest.fixture
def bare_project(tmp_path, monkeypatch) -> Path:
    """A working folder without a database."""
    for name in [*os.environ]:
        if name.startswith(("DVC_", "MLFLOW_TRACKING", "MODESCOPE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(bare_project, template) -> Path:
    """A working folder with an empty database."""
    shutil.copy(template, bare_project / "mlflow.db")
    return bare_project

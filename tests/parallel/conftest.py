"""A repository with a small pipeline."""

import json
from pathlib import Path

import pytest

from small_pipelines import SWEPT, git


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Makes a repository of git and DVC with these stages, and goes there."""

    def make(stages, name="project", scm=True) -> Path:
        folder = tmp_path / name
        (folder / ".dvc").mkdir(parents=True)
        (folder / ".dvc/config").write_text(f"[core]\n analytics = false\n no_scm = {str(not scm).lower()}\n")
        (folder / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
        (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))
        (folder / "params.yaml").write_text("lr: 0.1\n")
        (folder / "seed.txt").write_text("1\n")
        if scm:
            git(folder, "init", "-q")
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", "start")
        monkeypatch.chdir(folder)
        return folder

    return make


@pytest.fixture
def swept(project):
    """Makes a repository with two parameters, whose files have changes that are not committed."""

    def make(name="project"):
        folder = project(SWEPT, name)
        Path("params.yaml").write_text("lr: 0.1\nn: 1\n", encoding="utf-8")
        git(folder, "commit", "-qam", "two parameters")
        Path("seed.txt").write_text("changed\n", encoding="utf-8")
        return folder

    return make

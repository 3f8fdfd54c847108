"""Clones of the repository in which tests and benchmarks run the real tools, as a user does."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from modescope.runs.git import own_environment

BIN = Path(sys.executable).parent
DEMO = Path("profiles/demo")  # where the demo's metrics/ and reports/ lie
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost"}
IDENTITY = {f"GIT_{role}_{fact}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for fact in ("NAME", "EMAIL")}


def environment(folder, **more):
    """What a shell in `folder` has: the tools, the clone's own code, no network, none of this process's settings.

    It is sh, which, unlike bash, stays beside the stage that it starts, unless the command says `exec`.
    """
    clean = {
        key: value for key, value in own_environment().items() if not key.startswith(("DVC_", "MLFLOW_", "MODESCOPE_"))
    } | {"SHELL": "/bin/sh"}
    return {
        **clean,
        **OFFLINE,
        **IDENTITY,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        **more,
    }


def run(command, folder, expect=0, **more):
    """Run a command line in `folder` and return what it printed and the seconds it took."""
    began = time.monotonic()
    process = subprocess.run(
        command, shell=True, cwd=folder, env=environment(folder, **more), capture_output=True, encoding="utf-8"
    )
    assert process.returncode == expect, f"{command}\n{process.stdout[-6000:]}\n{process.stderr[-6000:]}"
    return process.stdout + process.stderr, time.monotonic() - began


def slowness():
    """How many times longer than on the machine of docs/performance.md (1.3 s) Python takes to start with torch; >= 1.

    Limits of wall time are for that machine, idle: a slower or a busy one has as many times more.
    """
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return max(1.0, (time.monotonic() - began) / 1.3)


def commit(folder, message):
    """Commit all that git does not ignore."""
    run(f"git add -A && git commit -q --allow-empty -m '{message}'", folder)


def copy_of_the_repository(folder):
    """What a clone of the working tree would hold, as a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        env=own_environment(),
        capture_output=True,
        encoding="utf-8",
    )
    names = (
        listed.stdout.splitlines()
        if listed.returncode == 0
        else [str(path) for path in Path().rglob("*") if ".venv" not in path.parts and path.is_file()]
    )
    for name in names:
        if Path(name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target)
    run("git init -q", folder)
    commit(folder, "start")
    return folder


def without_a_store(folder, copy):
    """Copy a clone but for its MLflow store (whose paths are absolute) and its unfinished runs."""
    return shutil.copytree(
        folder, copy, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts", ".ckpt", ".venv")
    )

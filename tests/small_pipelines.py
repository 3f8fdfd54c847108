"""Small pipelines of shell commands."""

import contextlib
import os
import subprocess
import time

from dvc.repo import Repo

from benchmarks.clones import IDENTITY

# a number is written, read by two stages side by side, and summed up: outputs cached and not, a metric, parameters
DIAMOND = {
    "first": {"cmd": "mkdir -p data && cp seed.txt data/x && echo 2 > data/y", "deps": ["seed.txt"], "outs": ["data"]},
    "train": {
        "foreach": ["a", "b", "c"],
        "do": {
            "cmd": "mkdir -p models/${item} metrics; cat data/x params.yaml > models/${item}/w; "
            'echo \'{"fid": 1}\' > metrics/${item}.json; echo "\\${HOME}" > /dev/null',
            "deps": ["data/x"],
            "params": ["lr"],
            "outs": ["models/${item}"],
            "metrics": [{"metrics/${item}.json": {"cache": False}}],
        },
    },
    "report": {
        "cmd": "mkdir reports; cat metrics/* models/*/w > reports/page",
        "deps": ["metrics", "models"],
        "outs": [{"reports": {"cache": False}}],
    },
}


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, env={**os.environ, **IDENTITY}, capture_output=True)


def content(folder):
    """Every file but those of git and DVC."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in (".git", ".dvc")
    }


def serial(folder):
    """What `dvc repro` leaves there."""
    with contextlib.chdir(folder):
        Repo().reproduce()
    return content(folder)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def experiments(folder):
    """Name -> the files of the experiment's commit, with their hashes."""
    refs = output(folder, "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return {ref.split("/")[4]: output(folder, "ls-tree", "-r", ref) for ref in refs if ref.count("/") == 4}


def output(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout


def left_behind(folder):
    return [*folder.glob(".dvc/tmp/exps/**/tmp*"), *folder.glob(".dvc/tmp/exps/run/*")]

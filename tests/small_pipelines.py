"""Small pipelines of shell commands."""

import contextlib
import os
import subprocess
import sys
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

# `lr` changes a training, `n` its report; every stage says what it is and for which experiment it ran
COUNT = "echo {0} $DVC_EXP_NAME >> $DVC_ROOT/../ran; "
WAIT = "while test -e $DVC_ROOT/../slow; do touch $DVC_ROOT/../waits; sleep 0.1; done; "
SWEPT = {
    "first": {"cmd": COUNT.format("first") + "cp seed.txt x", "deps": ["seed.txt"], "outs": ["x"]},
    "train": {
        "cmd": COUNT.format("train")
        + WAIT
        + "! grep bad params.yaml && mkdir -p out && cat x > out/w && grep lr params.yaml > out/m.json",
        "deps": ["x"],
        "params": ["lr"],
        "outs": ["out/w", {"out/m.json": {"cache": False}}],
    },
    "report": {
        "cmd": COUNT.format("report") + "grep n: params.yaml | cat out/* - > page",
        "deps": ["out/w", "out/m.json"],
        "params": ["n"],
        "outs": ["page"],
    },
}
GRID = ["lr=0.1,0.2", "n=1,2"]


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


def begin(*arguments, **options):
    """The command `modescope` in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", "from modescope.cli import main; main()", *arguments], **options)


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
    """Workspaces of experiments, and DVC's records of these."""
    found = (folder.glob(f".dvc/tmp/{each}") for each in ("exps/**/tmp*", "parallel/tmp*", "exps/run/*"))
    return [path for paths in found for path in paths]

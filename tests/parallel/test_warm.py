"""Warm starts: a stage's Python that is forked sees what one that is started sees."""

import json
import subprocess
from pathlib import Path

import psutil
import pytest

from modescope.parallel.warm import Module
from small_pipelines import begin, serial, wait_for

FACTS = """
import json, os, sys
from modescope.own import NUMBER

names = ("MODESCOPE_DEVICE", "PYTHONPATH", "DVC_STAGE", "OMP_NUM_THREADS", "UNKNOWN")
facts = {
    "number": NUMBER, "arguments": sys.argv[1:], "folder": os.path.basename(os.getcwd()), "utf8": sys.flags.utf8_mode,
    "place": os.path.relpath(sys.argv[0]), "name": [__name__, __spec__.name, sys.modules["__main__"].__spec__.name],
    "environment": {name: os.environ.get(name) for name in names},
}
with open(sys.argv[1], "w") as file:
    json.dump(facts, file)
print("torch is here:", "torch" in sys.modules)
"""
COMMAND = "exec env PYTHONUTF8=1 PYTHONPATH=src python -m modescope.facts"


WAIT = "for i in $(seq 300); do test -e $DVC_ROOT/.dvc/tmp/parallel/preloaded && break; sleep 0.1; done"


@pytest.fixture
def own(project):
    """Makes a repository with a `modescope` of its own; stages run with so many threads, `facts` comes last."""

    def make(name, threads=1, wait=WAIT):
        stages = {
            "one": {"cmd": f"{COMMAND} one.json", "deps": ["src"], "outs": ["one.json"]},
            "two": {"cmd": f"{COMMAND} two.json", "deps": ["one.json"], "outs": ["two.json"]},
            "wait": {"cmd": f"{wait}; date > waited", "deps": ["one.json"], "outs": ["waited"]},
            "facts": {"cmd": f"{COMMAND} out.json 'a b' --n 1", "deps": ["waited", "two.json"], "outs": ["out.json"]},
        }
        folder = project(stages, name)
        (folder / "src/modescope").mkdir(parents=True)
        for file, text in (("__init__", ""), ("own", "NUMBER = 7\n"), ("facts", FACTS)):
            (folder / f"src/modescope/{file}.py").write_text(text)
        (folder / "params.yaml").write_text(f"threads: {threads}\n")
        return folder

    return make


def side_by_side():
    """What `modescope repro` prints."""
    return begin("repro", stdout=subprocess.PIPE, encoding="utf-8").communicate()[0]


def test_the_stage_sees_what_it_always_sees(own, monkeypatch):
    monkeypatch.setenv("MODESCOPE_DEVICE", "cpu")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    serial(own("serial", wait="true"))
    expected = json.loads(Path("out.json").read_text(encoding="utf-8"))
    own("project")
    printed = side_by_side()
    facts = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert facts == {**expected, "folder": facts["folder"], "environment": facts["environment"]}
    assert facts["environment"] == {**expected["environment"], "OMP_NUM_THREADS": "1"}
    heads = [line.split()[1] + line.rpartition(";")[2] for line in printed.splitlines() if "torch is here" in line]
    assert sorted(heads) == ["facts: torch is here: True", "one: torch is here: False", "two: torch is here: False"]


def test_more_threads_start_as_ever(own):
    """How these wait for each other is read as torch is imported."""
    own("project", threads=2)
    assert side_by_side().count("torch is here: False") == 3


def test_a_server_that_was_killed_is_started_anew(own):
    folder = own("project", wait="while ! test -e $DVC_ROOT/go; do sleep 0.1; done")
    process = begin("repro")
    wait_for((folder / ".dvc/tmp/parallel/preloaded").exists)
    (server,) = (each for each in psutil.Process(process.pid).children() if "forkserver" in " ".join(each.cmdline()))
    server.kill()
    (folder / "go").touch()
    assert process.wait(60) == 0 and (folder / "out.json").exists()


def test_a_failure_is_the_stages(own):
    folder = own("project")
    (folder / "src/modescope/facts.py").write_text(f"{FACTS}\nif sys.argv[2:]: sys.exit('the reason')\n")
    printed = side_by_side()
    assert "| torch is here: True" in printed and "| the reason" in printed and "failed: facts" in printed
    assert "exited with 1" in printed


@pytest.mark.parametrize(
    "command, arguments",
    [
        (f"{COMMAND} 'data/a b' --n 1", ["data/a b", "--n", "1"]),
        (COMMAND, []),
        (f"{COMMAND} a > b", None),
        (f"{COMMAND} $HOME", None),
        (f"{COMMAND} a && true", None),
        ("python train.py", None),
        ("env A=1 python -m pip list", None),
    ],
)
def test_only_a_plain_command_of_ours(command, arguments):
    found = Module.of(command)
    assert (found and found.arguments) == arguments
    assert not found or found.environment == {"PYTHONUTF8": "1", "PYTHONPATH": "src"}

"""What a stage read is what DVC records: a change under way is refused, and nothing is lost by it."""

import os
from pathlib import Path

import pytest

from modescope import inputs
from modescope.errors import UserError
from modescope.files import read_json
from modescope.inputs import note_inputs, refuse_changes
from modescope.runs.key import refuse_other_code
from modescope.runs.log import RunLog
from tracked_runs import INFO, start_python, work_folder

PIPELINE = """
stages:
  train:
    matrix: {name: [a, b]}
    cmd: echo
    deps: [data/one, data/big.bin]
    params: [seed, "nets.${item.name}"]
    outs: ["models/${item.name}"]
"""
PARAMS = "seed: 1 # as ever\nnets: {a: {epochs: 10.0, lr: 0.1}, b: {epochs: 3}}\nother: 1\n"


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A stage of DVC's has begun, which reads seed, nets.a and two files; the working folder."""
    for name in [*os.environ]:
        if name.startswith(("DVC_", "MLFLOW_TRACKING", "MODESCOPE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for file, text in {
        ".dvc/config": "[core]\n    no_scm = True\n    analytics = False\n",
        "dvc.yaml": PIPELINE,
        "params.yaml": PARAMS,
        "data/one/labels.txt": "1 2 3",
        "data/one/__pycache__/x.pyc": "",
        "data/two.txt": "",
    }.items():
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(text, encoding="utf-8")
    Path("data/big.bin").write_bytes(bytes(inputs.SMALL + 1))
    monkeypatch.setenv("DVC_STAGE", "train@a")
    note_inputs(["a", "data", "models/a", "--seed", "1"])
    yield tmp_path
    inputs._noted.clear()


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda: None,
        lambda: write("params.yaml", PARAMS.replace("# as ever", "# and a comment")),
        lambda: write("params.yaml", PARAMS.replace("other: 1", "other: 2")),
        lambda: write("params.yaml", PARAMS.replace("epochs: 3", "epochs: 4")),
        lambda: write("data/two.txt", "of another stage"),
        lambda: write("data/one/labels.txt", "1 2 3"),
        lambda: write("data/one/__pycache__/y.pyc", "y"),
        lambda: write("models/a/run.json", "{}"),
    ],
    ids=["nothing", "comment", "other section", "other item", "other file", "same content", "bytecode", "output"],
)
def test_what_the_stage_does_not_depend_on_may_change(stage, change):
    write("models/a/weights", "trained")
    change()
    refuse_changes()
    assert Path("models/a/weights").exists()


@pytest.mark.parametrize(
    "change, words",
    [
        (
            lambda: write("params.yaml", PARAMS.replace("10.0", "1.0")),
            r"params.yaml changed \(nets.a.epochs: 10.0 -> 1.0\) while",
        ),
        (lambda: write("params.yaml", PARAMS.replace("seed: 1", "seed: 2")), r"params.yaml changed \(seed: 1 -> 2\)"),
        (lambda: write("params.yaml", "seed: 1\n"), r"params.yaml changed \(nets.a.* -> \(none\)"),
        (lambda: write("params.yaml", "seed: [1"), "params.yaml"),
        (lambda: Path("params.yaml").unlink(), "params.yaml changed"),
        (lambda: write("data/one/labels.txt", "3 2 1"), "data/one/labels.txt changed"),
        (lambda: write("data/one/more.txt", ""), "data/one/more.txt changed"),
        (lambda: Path("data/one/labels.txt").unlink(), "data/one/labels.txt changed"),
        (lambda: write("data/big.bin", "1" * (inputs.SMALL + 1)), "data/big.bin changed"),
    ],
)
def test_a_change_of_what_the_stage_depends_on_is_refused_and_its_output_put_aside(stage, change, words):
    write("models/a/weights", "trained")
    change()
    with pytest.raises(UserError, match=words) as error:
        refuse_changes()
    (kept,) = stage.glob(".dvc/tmp/aside/20*/a/weights") if "-> 1.0" in words else [None]
    assert kept is None or (f"kept as {kept.parent}" in str(error.value) and not Path("models/a").exists())


def test_outside_dvc_nothing_is_watched(stage, monkeypatch):
    inputs._noted.clear()
    monkeypatch.delenv("DVC_STAGE")
    note_inputs(["data"])
    write("params.yaml", "seed: 2\n")
    refuse_changes()


def test_a_training_whose_parameters_changed_is_failed_and_goes_on_when_they_are_back(stage, monkeypatch):
    monkeypatch.setattr("modescope.runs.log.origin", dict)
    out = Path("models/a")
    with pytest.raises(UserError, match=r"params.yaml changed \(nets.a"):
        with RunLog(INFO, work_folder(), lambda *_, **__: None) as log:
            log.log({"loss": 1.0}, 1)
            write("params.yaml", PARAMS.replace("10.0", "1.0"))
            log.finish(out)
    left = read_json(work_folder() / "run.json")
    assert left["status"] == "failed" and "epochs: 10.0 -> 1.0" in left["error"] and not out.exists()
    write("params.yaml", PARAMS)
    with RunLog(INFO, work_folder(), lambda *_, **__: None) as log:
        log.finish(out)
    assert (out / "curves.csv").read_text() == "step,loss\n1,1.0\n"


def test_code_that_changed_after_the_stage_code_is_refused(stage):
    write("data/code/cgan.txt", "aa\n")
    write("data/code/imbalance-gan.txt", "bb\n")
    refuse_other_code("modescope.stages.cgan", "cgan", "aa")
    refuse_other_code("modescope.stages.mixture", "vae-gmm", "cc")
    for module, model in (("cgan", "cgan"), ("imbalance", "gan")):
        with pytest.raises(UserError, match=f"when stage `code` wrote data/code/{module}.*: run `dvc repro` again"):
            refuse_other_code(f"modescope.stages.{module}", model, "dd")


STAGE = """
from pathlib import Path
from modescope.process import run_stage
def main(name: str, data: Path, out: Path) -> None:
    out.mkdir(parents=True)
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("10.0", "1.0"))
run_stage(main)
"""


def test_a_stage_ends_with_one_line_and_code_2(stage):
    ended = start_python(STAGE, "a", "data", "models/a")
    _, errors = ended.communicate()
    assert ended.returncode == 2 and errors.count("\n") == 1, errors
    assert "params.yaml changed (nets.a.epochs: 10.0 -> 1.0) while the stage ran" in errors
    assert not Path("models/a").exists() and [*stage.glob(".dvc/tmp/aside/20*/a")]

"""`modescope sweep --optuna`: trials are experiments, also those that are pruned, and a killed search goes on."""

import importlib.util
import json
import os
import signal

import pytest

from modescope.cli import app
from modescope.errors import UserError
from small_pipelines import begin, experiments, git, left_behind, output, wait_for

needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="needs Optuna: pip install 'modescope[optuna]'"
)
TRAIN = """
import json, os, time, yaml
from pathlib import Path
lr, root = yaml.safe_load(open("params.yaml"))["lr"], Path(os.environ["DVC_ROOT"])
info = {"run": "row", "stage": "train", "origin": {"dvc.exp": os.environ["DVC_EXP_NAME"]}}
work, run = root / ".ckpt" / f"{lr}", Path("models/study/row")
for folder in (work, run):
    folder.mkdir(parents=True, exist_ok=True)
(work / "run.json").write_text(json.dumps({**info, "status": "running"}))
rows = []
for step in range(1, 9):
    rows.append({"step": step, "eval/loss": lr + 1 / step})
    (work / "curves.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in rows))
    with open(root.parent / "steps", "a") as file:
        file.write(f"{lr}\\n")
    while lr > 0.5 and step == 2:  # without hope, and without end
        (root.parent / "waits").touch()
        time.sleep(0.1)
(work / "run.json").unlink()
(run / "run.json").write_text(json.dumps(info))
(run / "curves.csv").write_text("step,eval/loss\\n" + "".join(f"{row['step']},{row['eval/loss']}\\n" for row in rows))
Path("metrics").mkdir(exist_ok=True)
Path("metrics/row.json").write_text(json.dumps({"judge": {"fid": lr}}))
"""
STAGES = {
    "data": {"cmd": "cp seed.txt x", "deps": ["seed.txt"], "outs": ["x"]},
    "train": {
        "cmd": "python train.py",
        "deps": ["x"],
        "params": ["lr"],
        "outs": ["models/study/row"],
        "metrics": [{"metrics/row.json": {"cache": False}}],
    },
    "page": {"cmd": "cp metrics/row.json page", "deps": ["metrics/row.json"], "outs": ["page"]},
}


@pytest.fixture
def searched(project):
    folder = project(STAGES)
    (folder / "train.py").write_text(TRAIN)
    (folder / "metrics").mkdir()
    (folder / "metrics/row.json").write_text('{"judge": {"fid": 99}}')
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a score")
    return folder


def search(trials, prune="eval/loss", jobs=2, settings=("lr=0.1..1",), file="metrics/row.json:judge.fid"):
    from modescope.parallel.search import Goal
    from modescope.parallel.search import search as run

    return run(settings, trials, Goal.read(file, None, prune), jobs)


def study():
    import optuna

    return optuna.load_study(study_name=None, storage="sqlite:///.dvc/tmp/optuna.db")


def stop_above(monkeypatch, upper):
    import optuna

    from modescope.parallel import search

    monkeypatch.setattr(search, "pruner", lambda: optuna.pruners.ThresholdPruner(upper=upper, n_warmup_steps=2))


@needs_optuna
def test_every_trial_is_an_experiment_also_a_pruned_one(searched, monkeypatch, capsys):
    stop_above(monkeypatch, 1.0)  # at step 2 the curve is at lr + 0.5
    assert search(5) == 0
    trials = {trial.user_attrs["experiment"]: trial for trial in study().trials}
    assert len(trials) == 5 and trials.keys() == experiments(searched).keys()
    assert {trial.state.name for trial in trials.values()} == {"COMPLETE", "PRUNED"}
    for name, trial in trials.items():
        ref = output(searched, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()
        assert output(searched, "show", f"{ref}:params.yaml") == f"lr: {trial.params['lr']!r}\n"
        files = output(searched, "ls-tree", "-r", "--name-only", ref).split()
        assert ("metrics/row.json" in files) == (trial.state.name == "COMPLETE") == (trial.params["lr"] <= 0.5)
        if trial.state.name == "COMPLETE":
            assert json.loads(output(searched, "show", f"{ref}:metrics/row.json"))["judge"]["fid"] == trial.value
            assert [*trial.intermediate_values] == [*range(1, 9)]
        else:
            assert output(searched, "log", "-1", "--format=%s", ref) == "pruned by eval/loss\n"
            assert "data:" in output(searched, "show", f"{ref}:dvc.lock")
    assert not left_behind(searched) and not (searched / "page").exists()
    assert output(searched, "status", "--short", "-uno") == ""
    best = min(trial.params["lr"] for trial in trials.values())
    assert f"best: {best:g}, " in capsys.readouterr().out


@needs_optuna
def test_a_killed_search_goes_on(searched, monkeypatch, tmp_path):
    arguments = ["-S", "lr=0.6..1", "--optuna", "3", "--minimize", "metrics/row.json:judge.fid", "-j", "1"]
    process = begin("sweep", *arguments)
    wait_for(lambda: (tmp_path / "waits").exists())
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 143 and not left_behind(searched)
    first = study().trials[0].params["lr"]
    stop_above(monkeypatch, 0)
    assert search(3, settings=("lr=0.6..1",), jobs=1) == 0
    trials = study().trials
    assert [trial.state.name for trial in trials] == ["FAIL", "PRUNED", "PRUNED", "PRUNED"]
    assert trials[1].params["lr"] == first and len(experiments(searched)) == 3
    assert search(3, settings=("lr=0.6..1",), jobs=1) == 0 and len(study().trials) == 4


@needs_optuna
@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"trials": 0}, "--optuna 0: at least one trial"),
        ({"settings": ("lr=1",)}, "every -S is one value or a range, at least one a range"),
        ({"settings": ("lr=0.1..1", "seed=1,2")}, "-S seed=1,2 -S lr=0.1: "),
        ({"settings": ("lr=1..0.1",)}, "the range 1..0.1: .*low"),
        ({"settings": ("lr=0..1.0:log",)}, "the range 0..1.0:log: .*low"),
        ({"settings": ("nothing=0..1",)}, "Could not override 'nothing'"),
        ({"file": "metrics/row.json"}, "--optuna needs --minimize FILE:KEY"),
        ({"file": "metrics/none.json:fid"}, "DVC refuses: .*metrics/none.json"),
    ],
)
def test_bad_arguments(searched, arguments, said):
    with pytest.raises(UserError, match=said):
        search(**{"trials": 1, **arguments})
    assert not experiments(searched) and not left_behind(searched)


@needs_optuna
def test_a_score_that_is_not_there(searched):
    with pytest.raises(UserError, match="metrics/row.json has no kid; it has judge.fid"):
        search(1, settings=("lr=0.1..0.2",), file="metrics/row.json:kid")


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    command = next(each.callback for each in app.registered_commands if each.callback.__name__ == "sweep")
    with pytest.raises(UserError, match="Optuna is not installed, `pip install -e '..optuna.'` installs it"):
        command(["lr=0..1"], trials=2)
    with pytest.raises(UserError, match="--prune belong to --optuna N: say how many trials"):
        command(["lr=1,2"], prune="eval/loss")

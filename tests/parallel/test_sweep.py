"""`modescope sweep`: points of a grid, side by side, become the experiments that `dvc exp run --temp` makes."""

import os
import signal

import psutil
import pytest
from dvc.repo import Repo

from modescope.errors import UserError
from modescope.parallel.sweep import Sweep, sweep
from small_pipelines import GRID, SWEPT, begin, content, experiments, git, left_behind, output, wait_for


def ran(tmp_path):
    """What has run so far, in any order: stage and experiment."""
    return sorted(line.split() for line in (tmp_path / "ran").read_text(encoding="utf-8").splitlines())


def test_points_become_the_experiments_that_dvc_makes(swept, tmp_path, capsys):
    folder = swept("serial")
    for lr, n in ((0.1, 2), (0.2, 1)):
        Repo().experiments.run(tmp_dir=True, params=[f"lr={lr}", f"n={n}"])
    expected = {*experiments(folder).values()}
    (tmp_path / "ran").unlink()
    folder = swept()
    before = content(folder)
    assert sweep(GRID, jobs=2) == 0
    found = experiments(folder)
    assert len(expected) == 2 and expected < {*found.values()} and len(found) == 4
    assert [stage for stage, _ in ran(tmp_path)] == ["first", *["report"] * 4, *["train"] * 2]
    assert {name for _, name in ran(tmp_path)} == found.keys()
    printed = capsys.readouterr().out
    assert "12 stages" in printed and "7 executed, 5 cached" in printed and printed.count(": recorded, lr=0.") == 4
    assert content(folder) == before and output(folder, "stash", "list") == "" and not left_behind(folder)


def test_the_same_command_again_records_what_is_missing(swept, tmp_path, capsys):
    folder = swept()
    assert sweep(["lr=0.1,0.2"]) == 0
    found = experiments(folder)
    Repo().experiments.remove([min(found)])
    capsys.readouterr()
    assert sweep(["lr=0.1,0.2"]) == 0
    assert experiments(folder) == found
    printed = capsys.readouterr().out
    assert f"{max(found)}: recorded already" in printed and f"{min(found)}: recorded, lr=" in printed
    assert "3 stages" in printed and ": 3 cached" in printed and len(ran(tmp_path)) == 5


def test_a_point_that_dvc_cannot_record(swept, monkeypatch, capfd):
    folder = swept()

    def refuse(*_):
        raise UserError("DVC refuses: a reason")

    monkeypatch.setattr("modescope.parallel.sweep.commit", refuse)
    with pytest.raises(UserError, match="DVC cannot record [a-z-]+, for the reason above"):
        sweep(["lr=0.1,0.2"])
    assert capfd.readouterr().err.count("DVC refuses: a reason") == 2
    assert not experiments(folder) and not left_behind(folder)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert sweep(["lr=0.1,0.2"]) == 0 and len(experiments(folder)) == 2


def test_a_tree_that_changes_under_a_sweep_is_refused(swept, monkeypatch):
    """All points' stages run in one copy of it."""
    folder, begun = swept(), Sweep.started

    def started(self, task):
        with open(folder / "dvc.yaml", "a", encoding="utf-8") as file:
            file.write("# later\n")
        return begun(self, task)

    monkeypatch.setattr(Sweep, "started", started)
    with pytest.raises(UserError, match="dvc.yaml or params.yaml changed while the sweep ran: run it again"):
        sweep(["lr=0.1,0.2"])
    assert not left_behind(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_sweep_goes_on(swept, tmp_path, number):
    """What kill -9 leaves goes as the next sweep begins."""
    folder = swept()
    (tmp_path / "slow").touch()
    process = begin("sweep", "-S", "lr=0.1,0.2", "-j", "1")
    wait_for(lambda: (tmp_path / "waits").exists())
    workers = psutil.Process(process.pid).children()
    os.kill(process.pid, number)
    killed = number == signal.SIGKILL
    assert process.wait(60) == (-9 if killed else 143) and not experiments(folder)
    assert len(left_behind(folder)) == (2 if killed else 0)
    psutil.wait_procs(workers, 60)  # they hold the driver's lock, too
    names = {name for _, name in ran(tmp_path)}
    (tmp_path / "slow").unlink()
    assert sweep(["lr=0.1,0.2"]) == 0
    assert len(experiments(folder)) == 2 and names <= experiments(folder).keys() and not left_behind(folder)
    assert [stage for stage, _ in ran(tmp_path)].count("first") == 1


def test_a_point_whose_stage_fails_is_not_recorded(swept, tmp_path, capsys):
    """Points that share the stage share its failure; the others are recorded."""
    folder = swept()
    assert sweep(["lr=0.1,bad", "n=1,2"], jobs=2) == 255
    assert len(experiments(folder)) == 2 and not left_behind(folder)
    assert [stage for stage, _ in ran(tmp_path)].count("train") == 2
    printed = capsys.readouterr().out
    assert printed.count("not recorded, since stages failed: lr=bad") == 2
    assert "failed: it is the same as train (" in printed


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"settings": []}, "what shall vary[?] Say it, as in: modescope sweep -S"),
        ({"settings": ["lr=0.1..1:log"]}, "-S lr=0.1..1:log: a range needs `--optuna N`"),
        ({"settings": ["nothing=1,2"]}, "-S nothing=1,2: Could not override 'nothing'"),
        ({"settings": ["lr=0.1,0.2", "n=[1"]}, "-S lr=0.1,0.2 -S n=.1: "),
        ({"settings": ["other.yaml:lr=1"]}, "No such file or directory: 'other.yaml'"),
        ({"settings": GRID, "jobs": 0}, "-j 0: at least one stage"),
        ({"settings": GRID, "targets": ["nothing"]}, "DVC refuses: .*'nothing'"),
        ({"settings": GRID, "on": "slurm"}, "--on slurm: it is ray"),
    ],
)
def test_bad_arguments(swept, arguments, said):
    folder = swept()
    before = content(folder)
    with pytest.raises(UserError, match=said):
        sweep(**arguments)
    assert content(folder) == before and not experiments(folder) and not left_behind(folder)


@pytest.mark.parametrize("scm", [False, True])
def test_without_a_commit_there_are_no_experiments(project, scm):
    folder = project(SWEPT, scm=scm)
    if scm:
        git(folder, "update-ref", "-d", "HEAD")
    with pytest.raises(UserError, match="DVC refuses: .*Git"):
        sweep(["lr=0.1,0.2"])

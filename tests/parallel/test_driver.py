"""`modescope repro`: stages side by side leave what `dvc repro` leaves."""

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from modescope.errors import UserError
from modescope.parallel import driver, machine, slices
from modescope.parallel.driver import repro
from modescope.parallel.graph import Plan
from modescope.parallel.sweep import sweep
from small_pipelines import DIAMOND, begin, content, git, left_behind, serial, wait_for

SECONDS_AT_MOST = 60


def stage(command, out, deps=("seed.txt",), **more):
    return {"cmd": f"{{ {command}; }} && echo done > {out}", "deps": [*deps], "outs": [out], **more}


def test_it_leaves_what_dvc_leaves(project, monkeypatch, capsys):
    expected = serial(project(DIAMOND, "serial"))
    folder = project(DIAMOND)
    assert repro(jobs=3) == 0
    assert content(folder) == expected
    assert "5 stages" in capsys.readouterr().out
    assert repro(jobs=3) == 0
    assert "5 up to date" in capsys.readouterr().out and content(folder) == expected
    assert not [*Path(".dvc/tmp/parallel").glob("*/seed.txt")][1:]  # the snapshot's alone: workspaces are removed


def test_what_ran_before_comes_from_the_run_cache(project, capsys):
    folder = project(DIAMOND)
    repro()
    before = content(folder)
    Path("params.yaml").write_text("lr: 0.2\n", encoding="utf-8")
    repro()
    assert "4 executed, 1 up to date" in capsys.readouterr().out and content(folder) != before
    Path("params.yaml").write_text("lr: 0.1\n", encoding="utf-8")
    repro()
    assert "4 cached, 1 up to date" in capsys.readouterr().out and content(folder) == before


def test_it_runs_what_the_targets_need(project, capsys):
    project(DIAMOND)
    assert repro(["train@b"]) == 0
    assert sorted(os.listdir("models")) == [".gitignore", "b"] and not Path("reports").exists()
    assert Path("models/.gitignore").read_text(encoding="utf-8") == "/b\n"


def test_stages_run_side_by_side(project):
    """Each waits for the others' signs of life."""
    meet = "touch $DVC_ROOT/met-{me}; for i in $(seq 300); do [ $(ls $DVC_ROOT/met-* | wc -l) = 3 ] && break; "
    meet += "sleep 0.1; done; [ $i -lt 300 ]"
    project({name: stage(meet.format(me=name), name, meta={"cpus": 0}) for name in "abc"})
    assert repro(jobs=3) == 0


def test_the_longest_chain_begins_first(project):
    """By the seconds of earlier runs where they are known, else by the number of stages."""
    stages = {}
    for name in "abc":
        stages[name] = stage(f"mkdir -p models/{name}", f"models/{name}")
        stages[f"measure-{name}"] = stage("true", f"{name}.json", [f"models/{name}"])
        stages[f"measure-{name}"]["metrics"] = [{stages[f"measure-{name}"].pop("outs")[0]: {"cache": False}}]
    stages["after-b"] = stage("true", "x", ["b.json"])
    project(stages)
    assert [task.name for task in Plan.load().ready()] == ["b", "a", "c"]
    Path("c.json").write_text('{"seconds": 9.5}', encoding="utf-8")
    Path("a.json").write_text("{}", encoding="utf-8")
    assert [task.name for task in Plan.load().ready()] == ["c", "b", "a"]


@pytest.mark.parametrize("jobs, meta", [(1, {"cpus": 0}), (8, {"cpus": 1000}), (8, {})])
def test_never_more_than_asked_for_nor_more_threads_than_cores(project, monkeypatch, jobs, meta):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    alone = "mkdir $DVC_ROOT/alone && sleep 0.1 && rmdir $DVC_ROOT/alone"
    project({name: stage(alone, name, meta=meta) for name in "abc"})
    assert repro(jobs=jobs) == 0


def test_a_failing_stage_stops_what_depends_on_it_alone(project, capsys):
    stages = {
        "bad": stage("echo the reason is written here; test -e mended", "x"),
        "after": stage("true", "y", ["x"]),
        "last": stage("true", "z", ["y"]),
        "other": stage("sleep 0.3", "o"),
        "beside": stage("true", "p", ["o"]),
    }
    folder = project(stages)
    assert repro(jobs=1) == 255
    printed = capsys.readouterr().out
    assert "| the reason is written here" in printed and "failed: bad\nskipped: after, last\n" in printed
    assert sorted(name for name in content(folder) if len(name) == 1) == ["o", "p"]
    Path("mended").touch()
    assert repro() == 0
    assert "3 executed, 2 up to date" in capsys.readouterr().out and (folder / "z").exists()


SLOW = {
    "quick": stage("true", "q"),
    "slow": stage("echo $$ > $DVC_ROOT/pid; test -e $DVC_ROOT/go || exec sleep 100", "s", ["q"]),
}


def stage_process(folder):
    wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text().strip())
    return psutil.Process(int((folder / "pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_driver_leaves_no_stage_and_the_next_goes_on(project, number, capsys):
    folder = project(SLOW)
    process = begin("repro")
    running, workers = stage_process(folder), psutil.Process(process.pid).children()
    os.kill(process.pid, number)
    assert process.wait(SECONDS_AT_MOST) == (-9 if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGKILL:  # `sleep` does not die with its worker as our stages do
        running.kill()
    wait_for(lambda: not running.is_running() or running.status() == psutil.STATUS_ZOMBIE)
    psutil.wait_procs(workers, SECONDS_AT_MOST)  # they hold the driver's lock, too
    Path("go").touch()
    assert repro() == 0
    found = "1 executed, 1 cached" if number == signal.SIGKILL else "1 executed, 1 up to date"
    assert found in capsys.readouterr().out


def test_a_killed_worker_starts_again(project, capsys):
    folder = project(SLOW)
    process = begin("repro")
    running = stage_process(folder)
    worker = running.parent()
    assert worker.ppid() == process.pid
    Path("go").touch()
    worker.kill()
    running.kill()
    assert process.wait(SECONDS_AT_MOST) == 0 and (folder / "s").exists()


def test_one_driver_at_a_time(project):
    project(DIAMOND)
    with driver.alone(driver.FOLDER):
        with pytest.raises(UserError, match="another `modescope repro` is at work in this folder"):
            repro()
    assert not Path("data").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"jobs": 0}, "-j 0: at least one stage"),
        ({"jobs": -2}, "-j -2: at least one stage"),
        ({"targets": ["nothing"]}, "Stage 'nothing' not found"),
        ({"on": "slurm"}, "--on slurm: it is ray"),
    ],
)
def test_bad_arguments(project, arguments, said):
    folder = project(DIAMOND)
    before = content(folder)
    with pytest.raises(UserError, match=said):
        repro(**arguments)
    assert content(folder) == before


@pytest.mark.parametrize(
    "meta, said",
    [
        ({"gpus": 1000}, "stage second needs 1000 GPUs, but there are 0 on this machine"),
        ({"memory": 1e9}, "stage second needs 1e[+]09 GiB of memory, but there are"),
        ({"gpus": 1.5}, "second needs meta.gpus=1.5, which must be a part of one GPU or a whole number"),
        ({"cpus": "many"}, "second needs meta.cpus='many', which must be a number"),
        ({"memory": -1}, "second needs meta.memory=-1, which must be a number, 0 or more"),
    ],
)
def test_needs_that_nothing_meets(project, monkeypatch, meta, said):
    """They are refused before anything runs."""
    monkeypatch.setattr(machine, "_count_gpus", lambda: 0)
    folder = project({"first": stage("true", "x"), "second": stage("true", "y", ["x"], meta=meta)})
    with pytest.raises(UserError, match=said):
        repro()
    assert not (folder / "x").exists()


def test_a_broken_pipeline_is_one_line(project):
    project({"first": {"cmd": "true", "deeps": ["x"]}})
    with pytest.raises(UserError, match="DVC refuses: .*dvc.yaml"):
        repro()


def test_a_stage_of_which_dvc_keeps_no_run_is_refused(project):
    project({"first": {"cmd": "echo 1 > x", "outs": ["x"]}})
    with pytest.raises(UserError, match="stage first cannot be handed out.*`dvc repro first` first"):
        repro()


def test_a_full_disk_is_one_line(project, monkeypatch, capsys):
    folder = project(DIAMOND)

    def full(*_, **__):
        raise OSError(28, "No space left on device", "a/file")

    monkeypatch.setattr(slices.shutil, "copytree", full)
    with pytest.raises(UserError, match="first: cannot write a/file: no space left on device; free some space"):
        repro()
    assert not (folder / "data").exists()
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert repro() == 0


def test_inputs_that_change_under_way(project, capsys):
    project({"first": stage("echo 2 > $DVC_ROOT/seed.txt", "x")})
    with pytest.raises(UserError, match="first: the inputs of first changed while it ran: run it again"):
        repro()
    assert repro() == 0


def test_leftovers_in_a_folder_count_as_dvc_counts_them(project):
    """Ignored by git, output of no stage, but in a folder on which a stage depends."""
    for name in ("serial", "project"):
        folder = project(DIAMOND, name)
        (folder / "models/old").mkdir(parents=True)
        (folder / "models/old/w").write_text("old")
        (folder / ".gitignore").write_text("/models/old\n")
    expected = serial(folder.with_name("serial"))
    assert repro() == 0 and b"old" in expected["reports/page"] and content(folder) == expected


def test_outside_git(project):
    expected = serial(project(DIAMOND, "serial", scm=False))
    folder = project(DIAMOND, scm=False)
    assert repro() == 0 and content(folder) == expected


def test_a_snapshot_has_what_is_not_committed(project):
    folder = project(DIAMOND)
    (folder / "new.txt").write_text("new")
    (folder / "seed.txt").write_text("changed")
    (folder / "ignored").write_text("")
    (folder / ".gitignore").write_text("ignored\n")
    (folder / "metrics").mkdir()
    (folder / "metrics/a.json").write_text("{}")
    (folder / "metrics/other.json").write_text("{}")
    git(folder, "add", "seed.txt")
    place = folder.with_name("snapshot")
    slices.take_snapshot(slices.Repo(str(folder)), place)
    assert {*content(place)} == {".gitignore", "metrics/other.json", "new.txt", "params.yaml", "seed.txt"}
    said = [slices._git(where, "diff", "HEAD", "--", "seed.txt") for where in (folder, place)]
    assert said[0] == said[1] != ""


def test_a_snapshot_is_of_this_repository_whatever_git_dir_says(project, monkeypatch):
    other = project({}, "other")
    (other / "theirs.txt").write_text("theirs")
    git(other, "add", "theirs.txt")
    folder = project(DIAMOND)
    place = folder.with_name("snapshot")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    slices.take_snapshot(slices.Repo(str(folder)), place)
    monkeypatch.delenv("GIT_DIR")
    listed = [slices._git(where, "ls-files") for where in (folder, place)]
    assert listed[0] == listed[1] and "seed.txt" in listed[0] and "theirs.txt" not in listed[0]


def test_a_dirty_submodule_is_refused(project, tmp_path):
    inner = project({}, "inner")
    folder = project({"first": stage("cat sub/seed.txt", "x")})
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "sub")
    git(folder, "commit", "-qm", "sub")
    (folder / "sub/seed.txt").write_text("changed")
    with pytest.raises(UserError, match="the submodule sub has changes of its own: commit them there"):
        repro()
    with pytest.raises(UserError, match="the submodule sub has changes"):
        sweep(["lr=1,2"])
    assert not (folder / "x").exists() and not left_behind(folder)
    git(folder / "sub", "checkout", "-q", ".")
    assert repro() == 0


def test_data_may_be_a_link_to_another_disk(project, tmp_path):
    folder = project(DIAMOND, scm=False)  # in git, DVC refuses outputs that lie elsewhere
    (tmp_path / "disk").mkdir()
    (folder / "models").symlink_to(tmp_path / "disk")
    assert repro() == 0
    assert (folder / "models").is_symlink() and (tmp_path / "disk/a/w").exists()
    shutil.rmtree(tmp_path / "disk")


def test_what_lies_beside_a_dependency_comes_along(project):
    """A stage that depends on a run's weights alone reads the run's facts, too."""
    first = {"cmd": "mkdir run && echo 1 > run/weights && echo 2 > run/facts", "deps": ["seed.txt"], "outs": ["run"]}
    stages = {"first": first, "second": stage("cat run/weights run/facts", "x", ["run/weights"])}
    expected = serial(project(stages, "serial"))
    folder = project(stages)
    assert repro() == 0 and content(folder) == expected

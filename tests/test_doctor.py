"""The doctor: every finding is made for real, seen, mended and gone, and nobody's work is lost."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from benchmarks.clones import environment, run
from modescope import doctor
from modescope.cli import use
from modescope.doctor.processes import pipeline_at_work
from modescope.errors import UserError
from modescope.mlflow.store import Store, open_store
from modescope.process import STARTER
from tracked_runs import start_python, stored_run, work_folder

PIPELINE = """
stages:
  first:
    cmd: cp params.yaml first
    deps: [tracked.txt]
    params: [first]
    outs: [first]
  second:
    cmd: if grep -q kill params.yaml; then touch $DVC_ROOT/reached; kill -9 0; fi; cp first second
    deps: [first]
    params: [second]
    outs: [second]
"""
# `dvc` that is killed in the n-th call of a function of its own or its libraries'
KILLED_IN = """
import importlib, os, signal, sys
where, calls, *sys.argv[1:] = sys.argv[1:]
module, owner, name = where.rsplit(".", 2)
owner = getattr(importlib.import_module(module), owner)
function, left = getattr(owner, name), [int(calls)]
def count(*arguments, **options):
    left[0] -= 1
    return function(*arguments, **options) if left[0] else os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, count)
from dvc.cli import main
main(sys.argv[1:])
"""
# Processes that are killed while they write, and some seconds after a training has begun
WRITER = """
import os
from pathlib import Path
from modescope.files import atomic_path
with atomic_path(Path("models/gan/run")) as temporary:
    temporary.mkdir()
    os.kill(os.getpid(), 9)
"""
TRAINING = """
import os, sys, time
from tracked_runs import RunLog, push, run_info, work_folder
info = run_info(key=sys.argv[1], run=sys.argv[1])
with RunLog(info, work_folder(info), push):
    print("began", flush=True)
    time.sleep(int(sys.argv[2]))
    os.kill(os.getpid(), 9)
"""
STASH, QUEUE = "scmrepo.git.stash.Stash", "dvc.repo.experiments.queue.base.BaseStashQueue"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    run("git init -q -b work && dvc init -q", folder, DVC_NO_ANALYTICS="1")
    shutil.copy(".dvc/config", folder / ".dvc" / "config")  # without analytics
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("first: 1\nsecond: 1 # mine\n")
    (folder / "tracked.txt").write_text("committed\n")
    (folder / ".gitignore").write_text("/first\n/second\nreached\n")
    run("dvc repro -q && git add -A && git commit -q -m start", folder)
    return folder


@pytest.fixture
def repository(template, tmp_path, monkeypatch):
    """A repository with two stages, both up to date, and the user's uncommitted changes; the working folder."""
    folder = shutil.copytree(template, tmp_path / "repository")
    (folder / "tracked.txt").write_text("changed\n")
    (folder / "staged.txt").write_text("staged\n")
    (folder / "untracked.txt").write_text("untracked\n")
    run("git add staged.txt", folder)
    return enter(folder, monkeypatch)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store(f"sqlite:///{file}", file.parent)
    return file


@pytest.fixture
def project(database, tmp_path, monkeypatch):
    """A working folder with an empty store."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    return enter(folder, monkeypatch)


def enter(folder, monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("DVC_", "MLFLOW_TRACKING", "MODESCOPE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    return folder


def killed(command, folder):
    """Run a command in a session of its own, which a kill ends."""
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), start_new_session=True, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def examined(capsys, mend=False):
    """Whether all is well, and the lines that say why not."""
    well = doctor.examine(mend)
    return well, capsys.readouterr().out.splitlines()


def check(capsys, *words):
    """What is wrong is said, without touching it, then mended, then gone."""
    well, lines = examined(capsys)
    assert not well and all(any(word in line for line in lines) for word in words), lines
    well, mended = examined(capsys, mend=True)
    assert well and len(mended) == len(lines) - 1, mended  # the last line had pointed to --mend
    assert examined(capsys) == (True, ["nothing to mend"])


def printed(command):
    return run(command, Path.cwd())[0]


def assert_work_is_there(folder, params="first: 1\nsecond: 1 # mine\n"):
    names = ("tracked.txt", "staged.txt", "untracked.txt", "params.yaml")
    assert [(folder / name).read_text() for name in names] == ["changed\n", "staged\n", "untracked\n", params]
    assert printed("git symbolic-ref --short HEAD") == "work\n"


@pytest.mark.parametrize("command", ["true", "git init -q", "dvc init -q --no-scm"])
def test_nothing_is_wrong_with_a_new_folder(command, tmp_path, monkeypatch, capsys):
    run(command, tmp_path, DVC_NO_ANALYTICS="1")
    enter(tmp_path, monkeypatch)
    assert examined(capsys) == (True, ["nothing to mend"])
    assert not (tmp_path / "mlflow.db").exists()


def test_a_killed_experiment_in_the_workspace(repository, capsys):
    killed(["dvc", "exp", "run", "-n", "late", "-S", "second=kill"], repository)
    assert "HEAD detached" in printed("git status")
    check(
        capsys,
        "HEAD left branch `work`",
        "params.yaml keeps what it has now",
        "refs of a killed",
        "record of experiment `late`",
        "locks of DVC",
    )
    assert_work_is_there(repository, "first: 1\nsecond: kill # mine\n")
    assert "EXEC_MERGE" not in printed("git for-each-ref") and printed("git stash list") == ""
    run("git checkout -q HEAD params.yaml && dvc repro", repository)


@pytest.mark.parametrize(
    "where, calls, words",
    [
        (f"{QUEUE}._update_params", 1, "and the workspace has them, too"),
        (f"{QUEUE}._stash_commit_deps", 1, "what the workspace has instead goes there"),
        (f"{STASH}.apply", 1, "git stash pop --index"),  # HEAD is detached, the workspace clean
        (f"{STASH}.apply", 2, "git stash pop --index"),  # HEAD is back, the workspace clean
        (
            f"{STASH}.apply",
            3,
            "refs of a killed experiment",
        ),  # HEAD is detached again, the changes nowhere but in a ref
    ],
)
def test_changes_that_a_killed_experiment_had_put_aside_come_back(repository, capsys, where, calls, words):
    killed([sys.executable, "-c", KILLED_IN, where, str(calls), "exp", "run", "-S", "second=2"], repository)
    check(capsys, words)
    experiment = calls == 3
    assert_work_is_there(repository, f"first: 1\nsecond: {2 if experiment else 1} # mine\n")
    kept = printed("git stash list")
    assert ("as it was found" in kept) == (kept != "") == ("instead" in words)


def test_what_the_user_put_into_the_stash_stays_there(repository, capsys):
    run("git stash -q", repository)
    killed(["dvc", "exp", "run", "-S", "second=kill"], repository)
    check(capsys, "HEAD left branch")
    assert printed("git stash list").count("\n") == 1 and (repository / "tracked.txt").read_text() == "committed\n"


def test_commits_on_a_head_that_dvc_left_detached_move_to_the_branch(repository, capsys):
    killed(["dvc", "exp", "run", "-S", "second=kill"], repository)
    run("git commit -q -a -m later", repository)
    check(capsys, "HEAD left branch `work`")
    assert "later" in printed("git log -1 --format=%s work") and printed("git symbolic-ref --short HEAD") == "work\n"


def test_a_head_that_the_user_detached_is_his(repository, capsys):
    run("git commit -q -a -m second && git checkout -q HEAD~1", repository)
    assert examined(capsys) == (True, ["nothing to mend"])


def test_a_killed_experiment_in_a_temporary_workspace(repository, capsys):
    killed(["dvc", "exp", "run", "--temp", "-n", "away", "-S", "second=kill"], repository)
    check(capsys, "record of experiment `away`", "workspace of a killed experiment")
    assert "Running" not in printed("dvc exp show --csv")
    assert_work_is_there(repository)


def test_a_killed_queue_worker(repository, capsys):
    run("dvc exp run --queue -n queued -S second=kill && dvc queue start", repository)
    deadline = time.monotonic() + 30
    while not (repository / "reached").exists() or doctor.at_work(repository):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    check(capsys, "experiment `queued` died with its queue worker", "workspace of a killed experiment")
    assert "Failed" in printed("dvc queue status")


def test_a_lock_whose_number_another_process_has_now(repository, capsys):
    entry = {"pid": os.getpid(), "cmd": "dvc repro"}
    file = repository / ".dvc" / "tmp" / "rwlock"
    file.write_text(
        json.dumps({"write": {str(repository / "second"): entry}, "read": {str(repository / "first"): [entry]}})
    )
    assert "is busy" in run("dvc repro -f -s second", repository, expect=255)[0]
    check(capsys, "locks of DVC processes that are gone: rm .dvc/tmp/rwlock")
    file.write_text('{"write": {')
    check(capsys, "locks of DVC processes that are gone")
    run("dvc repro -f -s second", repository)


def test_a_torn_dvc_lock(repository, capsys):
    file = repository / "dvc.lock"
    whole = file.read_text()
    second = whole.index("  second:")
    for length in (0, 10, second // 2, second + 9, len(whole) - 1):
        file.write_text(whole[:length])
        check(capsys, "dvc.lock is cut off")
        assert file.read_text() == whole
    file.write_text(whole.replace("  first:", "  other:")[: second + 20])
    check(capsys, "dvc.lock is cut off")
    assert file.read_text().count("cmd:") == 3  # what only the torn file knew is kept
    run("git checkout -q HEAD tracked.txt", repository)
    assert "up to date" in printed("dvc repro")


def test_merge_markers_in_dvc_lock_go_and_this_branchs_side_stays(repository, capsys):
    file = repository / "dvc.lock"
    whole = file.read_text()
    first, second = whole.index("  first:"), whole.index("  second:")
    other = whole[second:].replace("md5: ", "md5: 0")
    third = whole[second:].replace("  second:", "  third:")
    file.write_text(f"{whole[:second]}<<<<<<< HEAD\n{whole[second:]}=======\n{other}{third}>>>>>>> other\n")
    check(capsys, "dvc.lock has both sides of a merge")
    assert file.read_text().replace(third, "") == whole[:first] + whole[first:] and third in file.read_text()
    assert "<<<<<<< HEAD" in next((repository / ".dvc/tmp/aside").glob("20*/dvc.lock")).read_text()
    inside = whole.replace("  second:\n", "  second:\n<<<<<<< HEAD\n").replace(
        "cp first", "cp a\n=======\n  cmd: cp", 1
    )
    file.write_text(inside)  # no end: git writes no such thing, an editor may
    check(capsys, "dvc.lock has both sides of a merge")
    assert file.read_text() == whole


def test_what_mending_does_not_mend_is_said_to_be_left(project, capsys, monkeypatch):
    left = doctor.Finding("something is wrong", "do that", lambda: None)
    monkeypatch.setattr(doctor, "AT_REST", (lambda _: [left],))
    assert examined(capsys, mend=True) == (False, ["something is wrong: do that"])


def test_a_git_lock(repository, capsys):
    (repository / ".git" / "index.lock").touch()
    run("git add tracked.txt", repository, expect=128)
    check(capsys, "git is locked by a command that is gone: rm .git/index.lock")
    run("git add tracked.txt", repository)


def test_a_file_that_was_being_written(project, capsys):
    start_python(WRITER).wait()
    kept = project / "models" / ".notes-abcdefgh" / "page.txt"
    kept.parent.mkdir()
    kept.write_text("the user's")
    check(capsys, "run was being written when its writer was killed: rm -r models/gan/.run-")
    assert kept.exists() and [*(project / "models" / "gan").iterdir()] == []


def test_a_checkpoint_that_a_power_cut_damaged(project, capsys):
    whole, damaged = (Path(".ckpt") / name / "checkpoint.pt" for name in ("whole", "damaged"))
    for path in (whole, damaged):
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:  # as torch.save writes one
            archive.writestr("archive/data.pkl", b"state" * 100)
    damaged.write_bytes(damaged.read_bytes().replace(b"state", b"stAte", 1))
    check(capsys, "a checkpoint is damaged", "another checksum", "rm .ckpt/damaged/checkpoint.pt")
    assert whole.exists() and not damaged.exists()


def test_folders_of_the_users_whose_names_look_like_ours_stay(project, capsys):
    for name in (".data-original", "models/.run-abcdefgh", "models/.run-original.bak"):
        (project / name).mkdir(parents=True)
        (project / name / "data").write_text("the user's")
    assert examined(capsys, mend=True) == (True, ["nothing to mend"])
    assert len([*project.rglob("data")]) == 3


def test_what_the_doctor_removes_lies_in_a_dated_folder(project, capsys):
    (project / "models" / ".run-abcdefgh.modescope" / "run").mkdir(parents=True)
    (project / "models" / ".run-abcdefgh.modescope" / "run" / "weights").write_text("trained")
    assert "(kept as .dvc/tmp/aside/20" in examined(capsys, mend=True)[1][0]
    assert [file.read_text() for file in (project / ".dvc/tmp/aside").glob("20*/.run-*/run/weights")] == ["trained"]


def test_a_stage_without_its_dvc(project, capsys):
    """At work as long as its parent lives, which is called `dvc`; an orphan, which is ended, when it is gone."""
    (project / "dvc").write_text(
        f"{sys.executable} -c 'import time; print(flush=True); time.sleep(60)' modescope.stages.imbalance gan; echo"
    )
    parent = subprocess.Popen(["sh", "dvc"], env={**os.environ, "DVC_STAGE": "imbalance@gan"}, stdout=subprocess.PIPE)
    parent.stdout.readline()
    well, lines = examined(capsys)
    assert well and "is at work here" in lines[0]
    parent.kill()
    parent.wait()
    check(capsys, "a stage trains on although its DVC is gone: `-c import time")


def test_a_server_without_its_modescope_ui(project, capsys):
    """Its own, which carries the number of a process that is gone; another server here is the user's."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)", "mlflow", "server"]
    theirs, ours = subprocess.Popen(sleep), subprocess.Popen(sleep, env={**os.environ, STARTER: str(gone.pid)})
    child = subprocess.Popen(sleep, env={**os.environ, STARTER: str(os.getpid())})
    check(capsys, "MLflow's server goes on although its `modescope ui` is gone: `-c import time; time.sleep(60) mlflow")
    assert [process.poll() is None for process in (theirs, ours, child)] == [True, False, True]
    for process in (theirs, child):
        process.kill()


def test_runs_that_seem_to_run(project, capsys):
    """One with a work folder, one without, and one that is being trained."""
    trainings = [start_python(TRAINING, key, seconds) for key, seconds in (("aa", 0), ("bb", 0), ("cc", 60))]
    for training in trainings:
        assert any("began" in line for line in training.stdout)
    for training in trainings[:2]:
        training.wait()
    shutil.rmtree(work_folder({"key": "bb"}))
    check(capsys, "run `aa` as running, but nobody trains it: modescope sync", "run `bb` as running")
    assert [stored_run(key).info.status for key in ("aa", "bb", "cc")] == ["KILLED", "KILLED", "RUNNING"]
    trainings[2].kill()
    trainings[2].communicate()
    check(capsys, "run `cc` as running")


def test_a_repository_that_was_copied_keeps_its_pictures_itself(project, tmp_path, monkeypatch, capsys):
    assert start_python("from tracked_runs import *; train_run(Path('models/imbalance/gan-split1'))").wait() == 0
    copy = enter(shutil.copytree(project, tmp_path / "copy"), monkeypatch)
    shutil.rmtree(copy / "mlartifacts")
    check(
        capsys, f"MLflow keeps the pictures of `imbalance` in {project}/mlartifacts/imbalance, not beside its database"
    )
    run_id = stored_run().info.run_id
    assert stored_run().info.artifact_uri == f"{copy}/mlartifacts/imbalance/{run_id}/artifacts"
    assert len([*(copy / "mlartifacts").rglob("*.png")]) == 2
    assert len(open_store().client.search_runs([*open_store().experiments().values()])) == 1


def test_a_database_of_another_schema_is_for_the_user(project, capsys):
    with sqlite3.connect(project / "mlflow.db") as connection:
        connection.execute("update alembic_version set version_num = 'another'")
    for mend in (False, True):
        well, lines = examined(capsys, mend)
        assert not well and "has schema another" in lines[0] and "run `modescope sync`" in lines[0]


def test_the_command_line_says_whether_something_is_left(project):
    (project / "models").mkdir()
    (project / "models" / ".run-abcdefgh.modescope").mkdir()
    assert (
        "rm -r models/.run-abcdefgh"
        in run("modescope doctor", project, expect=2, PYTHONPATH=os.environ.get("PYTHONPATH", ""))[0]
    )
    assert "mended" in run("modescope doctor --mend", project, PYTHONPATH=os.environ.get("PYTHONPATH", ""))[0]


LOCKED = """
schema: '2.0'
stages:
  train@a:
    cmd: echo
    params: {params.yaml: {nets.a: {epochs: 1.0, lr: 1e-05}, seed: 0}}
    outs: [{path: models/a}]
  cgan@x:
    cmd: echo
    params:
      params.yaml:
        cgan.training: {lr: 0.1, width: 8}
        cgan.recipes: {bce: {betas: [0, 1], n: 5, width: null}, lsgan: {n: 2}}
        cgan.ours.x: {lr: 0.3, loss: bce}
    outs: [{path: models/x-s43}]
  other:
    cmd: echo
    outs: [{path: models/none}]
"""


@pytest.mark.parametrize(
    "place, run, params, words",
    [
        ("a", "a", {"seed": 0, "nets": {"a": {"epochs": 1, "lr": 1e-5}}}, None),
        ("a", "a", {"seed": 0, "nets": {"a": {"epochs": 10.0, "lr": 1e-5}}}, "nets.a.epochs 10.0, not 1.0 as dvc.lock"),
        ("x-s43", "x-s43", {"lr": 0.3, "width": 8, "loss": "bce", "n": 5, "betas": [0, 1], "seed": 43}, None),
        ("x-s43", "x-s43", {"lr": 0.1, "width": 8, "loss": "bce", "n": 5}, "lr 0.1, not 0.3"),
        ("x-s43", "x-s43", {"lr": 0.3, "width": 8, "loss": "bce", "n": 2}, "n 2, not 5"),
    ],
)
def test_dvc_lock_is_compared_with_what_the_runs_say(project, capsys, place, run, params, words):
    (project / "dvc.lock").write_text(LOCKED)
    (project / "models" / place).mkdir(parents=True)
    (project / "models" / place / "run.json").write_text(json.dumps({"run": run, "params": params}))
    well, lines = examined(capsys)
    assert well == (words is None)
    assert well or (
        words in lines[0] and f"models/{place} was made with" in lines[0] and "dvc repro --force" in lines[0]
    )


def test_modescope_use_waits_for_dvc(project, capsys, monkeypatch):
    """While a pipeline, a sweep or a stage reads this params.yaml; one in a temporary workspace has its own."""
    (project / ".dvc/tmp/exps/tmp1").mkdir(parents=True)
    (project / "modescope").write_text("import time; time.sleep(60)")
    wait = [sys.executable, project / "modescope"]
    for words, place, found in (
        (["sweep"], ".", True),
        (["modescope.stages.cgan"], ".", True),
        (["modescope.stages.cgan"], ".dvc/tmp/exps/tmp1", False),
        (["exp", "show"], ".", False),
    ):
        process = subprocess.Popen([*wait, *words], cwd=project / place)
        assert (pipeline_at_work(project) is not None) == found
        process.kill()
        process.wait()
    monkeypatch.setattr("modescope.doctor.processes.pipeline_at_work", lambda _: "`dvc repro` (process 7)")
    with pytest.raises(UserError, match=r"`dvc repro` \(process 7\) reads params.yaml, .*: wait until it ends"):
        use("demo")

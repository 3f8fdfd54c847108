"""The MLflow store: which one is meant, whose experiments are ours, and what is said of one that cannot be used."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from modescope.doctor.store import store_troubles
from modescope.errors import UserError
from modescope.mlflow import filing
from modescope.mlflow.address import artifact_location, sqlite_file, sqlite_uri, store_uri
from modescope.mlflow.store import MARK, Store, open_store
from modescope.mlflow.ui import page_links
from modescope.runs.locks import SECONDS_TO_WAIT, lock
from tracked_runs import start_python, stored_run, train_run

OUT = Path("models/imbalance/gan-split1")
HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print(flush=True); time.sleep(60)"


@pytest.fixture
def held(project, monkeypatch):
    """Somebody else has locked the store, and our patience is short; the holder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, "mlflow.db.lock"], stdout=subprocess.PIPE)
    process.stdout.readline()
    monkeypatch.setattr("modescope.mlflow.store.lock", partial(lock, seconds=0.2))
    yield process
    process.kill()


def findings():
    return [f"{each.what}: {each.command}" for each in store_troubles(Path.cwd())]


def pictures(folder):
    return len([*(folder / "mlartifacts").rglob("*.png")])


# --- locks


def test_a_lock_that_somebody_holds_is_given_up_and_he_is_named(held):
    assert SECONDS_TO_WAIT <= 60
    with pytest.raises(TimeoutError, match=rf"mlflow.db.lock has been held for .* by process {held.pid} \(`.*flock"):
        lock(Path("mlflow.db.lock"), seconds=0.1)
    held.kill()
    held.wait()
    lock(Path("mlflow.db.lock"), seconds=5).close()


def test_a_longer_wait_is_announced(held, monkeypatch, capsys):
    monkeypatch.setattr("modescope.runs.locks.SECONDS_OF_SILENCE", 0)
    with pytest.raises(TimeoutError):
        lock(Path("mlflow.db.lock"), seconds=0.2)
    assert capsys.readouterr().err.count(f"waiting for mlflow.db.lock, which process {held.pid} (`") == 1


def test_a_locked_store_stops_no_training_and_no_command_waits_without_end(held, capsys):
    began = time.monotonic()
    train_run(OUT)
    errors = capsys.readouterr().err
    assert errors.count("tracking is off") == 1 and f"held for 0 seconds by process {held.pid}" in errors
    with pytest.raises(UserError, match="end that process, or wait for it, then run `modescope sync`"):
        filing.sync()
    assert f"process {held.pid}" in findings()[0]
    assert time.monotonic() - began < 10


def test_a_server_is_asked_without_a_lock(project):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        server = Store(f"http://127.0.0.1:{silent.getsockname()[1]}", project)
        with server.exclusive(), server.exclusive():
            assert not [*project.glob("*.lock")]


def test_a_database_that_another_program_has_locked_is_said(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db?timeout=0.1")
    with sqlite3.connect("mlflow.db") as other:
        other.execute("begin exclusive")
        with pytest.raises(UserError, match=rf"database is locked\): end what has locked {project}/mlflow.db"):
            filing.sync()


# --- whose experiments are ours


@pytest.fixture
def shared(project):
    """A store with an experiment of another project, which has the name of a study; its id."""
    return open_store().client.create_experiment("imbalance", str(project / "theirs"), {"mlflow.note.content": "mine"})


def test_another_projects_experiments_in_a_shared_store_are_left_alone(shared, project):
    before = open_store().client.get_experiment(shared)
    train_run(OUT)
    assert page_links(open_store(), "http://127.0.0.1:5000") and findings() == []
    assert open_store().client.get_experiment(shared) == before or vars(
        open_store().client.get_experiment(shared)
    ) == vars(before)
    ours = open_store().client.get_experiment_by_name("modescope-imbalance")
    assert ours.tags[MARK] == "imbalance" and open_store().experiments() == {"imbalance": ours.experiment_id}
    assert stored_run().info.experiment_id == ours.experiment_id and filing.sync() == [("gan-split1", "unchanged")]


def test_experiments_of_ours_from_before_the_mark_are_known_by_their_description(project):
    train_run(OUT)
    open_store().client.delete_experiment_tag(open_store().experiments()["imbalance"], MARK)
    assert "imbalance" in open_store().experiments()
    assert filing.sync() == [("gan-split1", "unchanged")]
    assert open_store().ours()["imbalance"].tags[MARK] == "imbalance"


def test_a_deleted_experiment_is_restored(project):
    train_run(OUT)
    open_store().client.delete_experiment(open_store().experiments()["imbalance"])
    assert open_store().experiments() == {}
    filing.sync()
    assert stored_run().info.lifecycle_stage == "active"


# --- where a store is


def test_a_copied_checkout_writes_nothing_into_the_old_one(project, tmp_path_factory, monkeypatch, capsys):
    start_python(f"from tracked_runs import *; train_run(Path('{OUT}'))").wait()
    copy = shutil.copytree(project, tmp_path_factory.mktemp("copy") / "50%_new")
    shutil.rmtree(copy / "mlartifacts")
    old = pictures(project)
    monkeypatch.chdir(copy)
    train_run(Path("models/imbalance/gan-split2"), run="gan-split2", key="00000000000000bb")
    assert f"{project}/mlartifacts/imbalance had the pictures of `imbalance`" in capsys.readouterr().err
    assert pictures(project) == old == 2 and pictures(copy) == 2
    filing.sync()
    assert pictures(project) == 2 and pictures(copy) == 4
    assert sqlite_file(open_store().uri).samefile(copy / "mlflow.db") and findings() == []


@pytest.mark.parametrize("uri", ["sqlite:///my.db", "sqlite:///my.db?timeout=5", "sqlite+pysqlite:///./my.db"])
def test_a_relative_database_is_the_repositorys_in_a_temporary_workspace_too(bare_project, template, monkeypatch, uri):
    workspace = bare_project / ".dvc" / "tmp" / "exps" / "tmp1"
    workspace.mkdir(parents=True)
    shutil.copy(template, "my.db")
    monkeypatch.setenv("DVC_ROOT", str(bare_project))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(workspace)
    train_run(OUT)
    assert sqlite_file(store_uri()) == bare_project / "my.db" and stored_run().info.status == "FINISHED"
    assert not [*workspace.rglob("*.db")] and pictures(bare_project) == 2


@pytest.mark.parametrize(
    "uri, absolute",
    [
        ("./mlruns", "file://{}/mlruns"),
        ("file:mlruns", "file://{}/mlruns"),
        ("file:///x/mlruns", "file:///x/mlruns"),
        ("http://host:5000", "http://host:5000"),
        ("databricks", "databricks"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("sqlite:////x/my.db?timeout=5", "sqlite:////x/my.db?timeout=5"),
        ("sqlite:///a%20b/my.db", "sqlite:///{}/a b/my.db"),
    ],
)
def test_which_store_is_meant(bare_project, monkeypatch, uri, absolute):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store_uri() == absolute.format(bare_project)


@pytest.mark.parametrize("name", ["a b", "ü'&", "a%20b", "a%b", "a?b#c"])
def test_paths_with_characters_that_mean_something_in_a_url(bare_project, template, monkeypatch, name):
    folder = bare_project / name / "repository"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    shutil.copy(template, "mlflow.db")
    train_run(OUT)
    filing.push(OUT)
    assert sqlite_file(store_uri()) == folder / "mlflow.db" and pictures(folder) == 2
    assert [each.name for each in bare_project.iterdir()] == [name] and findings() == []
    assert {each.name for each in folder.parent.iterdir()} == {"repository"}


def test_the_simplest_address_is_taken(tmp_path):
    assert sqlite_uri(tmp_path / "a.db") == f"sqlite:///{tmp_path}/a.db"
    assert artifact_location(tmp_path) == str(tmp_path)


# --- a store that cannot be used


@pytest.mark.parametrize(
    "uri, words",
    [
        ("postgresql+pg8000://u:secret@127.0.0.1/db", r"No module named 'pg8000'\): `pip install pg8000`, then run"),
        ("sqlite://", r"in memory is gone with its process, name a file\)"),
        ("sqlite:///:memory:", r"in memory is gone with its process, name a file\)"),
        ("sqlite:///models/run.json/x.db", "cannot be used"),
        ("nonsense://host", "cannot be used"),
        ("mysql://", "cannot be used"),
    ],
)
def test_an_address_that_leads_nowhere_costs_a_warning_in_training_and_one_line_elsewhere(
    project, monkeypatch, capsys, uri, words
):
    Path("models").mkdir()
    Path("models/run.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    train_run(OUT)
    assert capsys.readouterr().err.count("tracking is off") == 1
    with pytest.raises(UserError, match=words) as error:
        filing.sync()
    assert "secret" not in str(error.value)
    assert "cannot be used" in findings()[0], "the doctor does not say that all is well"


@pytest.mark.parametrize("what", ["garbage", "cut off", "a folder"])
def test_a_database_that_cannot_be_read_is_to_be_moved_away_and_its_runs_are_filed_again(project, capsys, what):
    train_run(OUT)
    file, advice = Path("mlflow.db"), f"move {project}/mlflow.db away, then run `modescope sync`"
    if what == "garbage":
        file.write_bytes(b"garbage" * 1000)
    elif what == "cut off":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
        (file / "x").mkdir(parents=True)
        advice = f"let {project}/mlflow.db be a file that you may write, then run `modescope sync`"
    assert [line.endswith(advice) for line in findings()] == [True], findings()
    file.rename("moved-away")
    synced, _ = start_python("from modescope.mlflow.filing import sync; print(sync())").communicate()
    assert synced == "[('gan-split1', 'created')]\n"

"""What a second machine gets of the first one's work: through DVC's remotes, and through one MLflow server for both."""

import io
import urllib.request
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import PIL.Image
import pytest

from benchmarks.clones import run
from modescope.files import sha256
from modescope.mlflow.store import Store
from servers import free_port, mlflow_server, postgres, ssh_server

STAGE, WEIGHTS = "imbalance@gan-split4", "models/imbalance/gan-split4/model.safetensors"
EXPERIMENT = f"dvc exp run -S imbalance.gan.lr=0.0004 -s {STAGE}"
UNDO = "git reset -q --hard && dvc checkout -q"


class Origin(NamedTuple):
    """The first machine's clone, the remote to which it pushed everything, and the weights of an experiment that it
    tried.
    """

    folder: Path
    remote: Path
    tried: str


@pytest.fixture(scope="module")
def origin(new_clone, tmp_path_factory):
    folder, remote = new_clone(), tmp_path_factory.mktemp("remote")
    run(EXPERIMENT, folder)
    tried = sha256(folder / WEIGHTS)
    run(f"{use(remote)} && dvc push -q --run-cache", folder)  # files go along for what lies in the workspace only
    run(f"{UNDO} && dvc push -q", folder)
    return Origin(folder, remote, tried)


@pytest.fixture(scope="module")
def other(origin, tmp_path_factory):
    """The second machine's clone, after its first pull: no cache but its own, no MLflow store."""
    folder = tmp_path_factory.mktemp("other") / "clone"
    run(f"git clone -q {origin.folder} {folder}", folder.parent)
    run(f"{use(origin.remote)} && dvc pull -q --run-cache", folder)
    return folder


def use(remote):
    return f"dvc remote add --local --force --default store {remote}"


def runs_of(folder):
    places = ("models", "data/reference", "data/reference-grey", "data/inside")
    return len([run for place in places for run in (folder / place).rglob("run.json")])


def tables_of(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.glob("profiles/demo/reports/*/tables/*")}


def sync(folder, **environment):
    return run("modescope sync", folder, **environment)[0]


def check_tables(other, origin, reports, **environment):
    """Nothing is left to sync, and reports made from the store print the first machine's tables."""
    assert sync(other, **environment).count("unchanged") == runs_of(origin.folder)
    run(f"dvc repro -f -s {reports}", other, **environment)
    assert len(tables_of(other)) > 10 and tables_of(other) == tables_of(origin.folder)


def test_after_a_pull_nothing_runs_and_nothing_changes(other):
    assert "Running stage" not in run("dvc repro", other)[0]
    assert run("git status --porcelain", other)[0] == ""


def test_what_the_first_machine_tried_is_not_trained_again(origin, other):
    printed, _ = run(f"{EXPERIMENT} --pull", other)
    assert f"'{STAGE}' is cached - skipping run" in printed and "stage imbalance" not in printed
    assert sha256(other / WEIGHTS) == origin.tried != sha256(origin.folder / WEIGHTS)
    run(UNDO, other)


def test_one_server_for_all(origin, other, tmp_path):
    """MLflow's server on PostgreSQL, which stores and hands out the pictures."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with postgres() as database, mlflow_server(database, tmp_path / "artifacts", port, tmp_path / "server.log"):
        server = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}  # the machine may be busy
        assert sync(other, **server).count("created") == runs_of(origin.folder)
        check_tables(other, origin, "report-classifiers", **server)
        assert not (other / "mlflow.db").exists() and not (other / "mlartifacts").exists()
        store = Store(uri, tmp_path)
        runs = store.client.search_runs(list(store.experiments().values()))
        assert set(Counter(found.data.tags["key"] for found in runs).values()) == {1}
        (gan,) = (found for found in runs if found.info.run_name == "gan-split4")
        assert gan.info.artifact_uri.startswith("mlflow-artifacts:/")
        pictures = [
            file.path for file in store.client.list_artifacts(gan.info.run_id, "images") if file.path.endswith(".png")
        ]
        sent = {int(Path(path).name.split("+")[2]): path for path in pictures}
        for file in sorted((other / WEIGHTS).parent.glob("samples/*.png")):
            path = sent.pop(int(file.stem.removeprefix("step-")))
            with urllib.request.urlopen(
                f"{uri}/get-artifact?path={quote(path, safe='')}&run_uuid={gan.info.run_id}"
            ) as answer:
                assert (np.asarray(PIL.Image.open(io.BytesIO(answer.read()))) == np.asarray(PIL.Image.open(file))).all()
        assert not sent


def test_a_store_of_ones_own(origin, other):
    assert sync(other).count("created") == runs_of(origin.folder) > 20
    check_tables(other, origin, "report-imbalance report-cgan")


def test_through_ssh(origin, tmp_path):
    """One stage's outputs and run cache through a real sshd; `keyfile` is all that DVC needs to be told."""
    folder = tmp_path / "clone"
    run(f"git clone -q {origin.folder} {folder}", tmp_path)
    with ssh_server(tmp_path / "ssh") as server:
        add = f"dvc remote add --local --force ssh ssh://{server.user}@127.0.0.1:{server.port}{tmp_path}/remote"
        add += f" && dvc remote modify --local ssh keyfile {server.key}"
        run(f"{add} && dvc push -q -r ssh --run-cache {STAGE}", origin.folder)
        run(f"{add} && dvc pull -q -r ssh --run-cache {STAGE}", folder)
    assert sha256(folder / WEIGHTS) == sha256(origin.folder / WEIGHTS)
    runs = {
        path: [file.name for file in (path / ".dvc/cache/runs").rglob("*") if file.is_file()]
        for path in (folder, origin.folder)
    }
    assert sorted(runs[folder]) == sorted(runs[origin.folder]) != []

"""Variations, as a user makes them: one value, a grid in the queue, a temporary workspace; and what DVC and MLflow then
say of them.
"""

import json
import time
from shutil import copy

import mlflow
import pytest
from dvc.utils.hydra import apply_overrides

from benchmarks.clones import run
from modescope.config import PARAMS, read_yaml
from modescope.dotted import dotted

TARGET = "evaluate-imbalance@gan-split4"
RUN = "gan-split4"
GRID = "-S 'imbalance.gan.lr=1e-4,4e-4' -S imbalance.gan.max_steps=20"


@pytest.fixture(scope="module")
def queued(new_clone):
    """A clone in which a grid of two experiments went through DVC's queue, two at a time, into a store that did not
    exist.
    """
    folder = new_clone()
    run(f"dvc exp run --queue {GRID} {TARGET}", folder)
    run("dvc queue start -j 2", folder)
    deadline = time.monotonic() + 400
    while {"Queued", "Running"} & {state(line) for line in tasks(folder)}:
        assert time.monotonic() < deadline, tasks(folder)
        time.sleep(5)  # asking takes a second of a core that the experiments need
    return folder


def tasks(folder):
    return [
        line
        for line in run("dvc queue status", folder)[0].splitlines()
        if line[:7].isalnum() and line[0].isdigit() or "Queued" in line or "Running" in line
    ]


def state(line):
    return line.split()[-1]


def runs(folder):
    """Every MLflow run of study 1 in the clone's store."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    return client.search_runs([client.get_experiment_by_name("imbalance").experiment_id])


def shown(folder):
    """The rows of `dvc exp show`, baseline and experiments, by name."""
    table = json.loads(run("dvc exp show --json", folder)[0])
    return {row["name"]: row["data"] for row in table[1]["experiments"] for row in row["revs"]}


def test_every_parameter_can_be_varied(tmp_path):
    """-S takes every key; but for names with a dot (d-ff-0.5), which Hydra reads as two levels: docs/experiments.md
    says so.
    """
    file, values = tmp_path / "params.yaml", read_yaml(PARAMS)
    copy(PARAMS, file)
    keys = {key: value for key, value in dotted(values).items() if not key.startswith("two_stage.rows.")}
    apply_overrides(file, [f"{key}={json.dumps(value)}" for key, value in keys.items()])
    assert len(keys) > 200 and read_yaml(file) == values


def test_a_grid_in_the_queue_makes_one_run_each(queued):
    found = runs(queued)
    assert len(found) == len({each.data.tags["key"] for each in found}) == 2
    assert {each.info.status for each in found} == {"FINISHED"}
    names = {each.data.tags["dvc.exp"] for each in found}
    assert len(names) == 2 and {each.info.run_name for each in found} == {f"{RUN} ({name})" for name in names}
    varied = {(each.data.params["imbalance.gan.lr"], each.data.params["imbalance.gan.max_steps"]) for each in found}
    assert varied == {("0.0001", "20"), ("0.0004", "20")}
    assert all("final/fid_classifier" in each.data.metrics for each in found)


def test_artifacts_stay_when_the_queue_has_removed_its_workspaces(queued):
    for each in runs(queued):
        assert each.info.artifact_uri.startswith(str(queued / "mlartifacts"))
        client = mlflow.MlflowClient(f"sqlite:///{queued / 'mlflow.db'}")
        assert client.list_artifacts(each.info.run_id, "images")


def test_the_queue_leaves_the_workspace_alone(queued):
    assert run("git status --porcelain", queued)[0] == ""
    assert run("git symbolic-ref --short HEAD", queued)[0].strip() in ("main", "master")


def test_dvc_compares_the_experiments(queued):
    table, _ = run("dvc exp show --only-changed --csv", queued)
    header, *lines = table.splitlines()
    assert {"imbalance.gan.lr", "imbalance.gan.max_steps"} <= set(header.split(","))
    assert (
        sum(line.count("ms_exp") == 0 and ",branch_base," in line or ",branch_commit," in line for line in lines) >= 2
    )
    name = runs(queued)[0].data.tags["dvc.exp"]
    metrics, _ = run(f"dvc metrics diff HEAD {name} --md", queued)
    assert "fid_classifier" in metrics and f"{RUN}.json" in metrics
    params, _ = run(f"dvc params diff HEAD {name} --md", queued)
    assert "imbalance.gan.max_steps" in params and params.count("params.yaml") <= 2
    page, _ = run(f"dvc plots diff HEAD {name}", queued)
    assert "index.html" in page


def test_one_value_in_a_temporary_workspace_and_its_result_applied(queued):
    """`--temp`, then `dvc exp apply`: the same run, no double, nothing trained again."""
    before = len(runs(queued))
    run(f"dvc exp run --temp -n slow -S imbalance.gan.lr=5e-5 -S imbalance.gan.max_steps=20 {TARGET}", queued)
    found = [each for each in runs(queued) if each.data.tags.get("dvc.exp") == "slow"]
    assert len(found) == 1 and len(runs(queued)) == before + 1
    run("dvc exp apply slow", queued)
    printed, _ = run(f"dvc repro {TARGET}", queued)
    assert "Running stage" not in printed
    run("modescope sync", queued)
    assert len([each for each in runs(queued) if each.data.tags["key"] == found[0].data.tags["key"]]) == 1
    run("git reset -q --hard && dvc checkout -q", queued)

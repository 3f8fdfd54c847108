"""What goes wrong around a real training of the demo: the tracker, the disk, the numbers."""

import re
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from functools import partial

import pytest

from benchmarks.clones import environment, run, slowness
from modescope.files import sha256
from modescope.mlflow.store import Store
from modescope.runs.folder import read_rows
from servers import free_port, kill, mlflow_server

ONE, OTHER = "gan-split4", "gan-balanced"


def retrain(name):
    return f"dvc repro -f -s --no-run-cache imbalance@{name}"


def trained(clone, name):
    """The weights as they lie there."""
    return (clone / "models" / "imbalance" / name / "model.safetensors").read_bytes()


def store_of(clone):
    return Store(f"sqlite:///{clone}/mlflow.db", clone)


def lines_of(process):
    """Every line that a process prints, with the time at which it came."""
    return [(time.monotonic(), line) for line in process.stdout]


def start(command, clone, **more):
    options = {"cwd": clone, "env": environment(clone, **more), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, shell=True, text=True, **options)


def check_complete(clone, store, name):
    """The store has one run of that name, finished, with every point and picture of its files exactly once."""
    (found,) = store.client.search_runs(list(store.experiments().values()), f"run_name = '{name}'")
    assert found.info.status == "FINISHED"
    folder = clone / "models" / "imbalance" / name
    expected = Counter(
        (metric, step, value) for step, values in read_rows(folder).items() for metric, value in values.items()
    )
    curves = [metric for metric in found.data.metrics if not metric.startswith("final/")]
    stored = Counter(
        (metric, point.step, point.value)
        for metric in curves
        for point in store.client.get_metric_history(found.info.run_id, metric)
    )
    assert stored == expected and len(expected) > 500 and set(stored.values()) == {1}
    pictures = [
        file.path for file in store.client.list_artifacts(found.info.run_id, "images") if file.path.endswith(".png")
    ]
    assert len(pictures) == len(list(folder.glob("*/*.png"))) > 5


def test_a_server_that_is_down_or_dies_costs_no_training_and_nothing_is_lost(clone, tmp_path):
    expected = {name: trained(clone, name) for name in (ONE, OTHER)}
    for folder in ("models", "data/reference", "data/reference-grey", "data/inside"):
        shutil.rmtree(clone / folder, ignore_errors=True)  # so that there is little to sync
    port = free_port()
    database, uri = tmp_path / "server.db", f"http://127.0.0.1:{port}"
    serve = partial(mlflow_server, f"sqlite:///{database}", tmp_path / "artifacts", port)

    down = start(retrain(ONE), clone, MLFLOW_TRACKING_URI=uri)
    lines = lines_of(down)
    assert down.wait() == 0 and trained(clone, ONE) == expected[ONE]
    began, opened = (
        next(at for at, line in lines if line.startswith(words)) for words in ("stage imbalance", f"run {ONE}, key")
    )
    assert opened - began < 10 * slowness()
    assert sum("tracking is off" in line for _, line in lines) == 1

    patient = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}  # the machine may be busy
    with serve(tmp_path / "first.log") as server:
        assert run("modescope sync", clone, **patient)[0].count("created") == 1
        check_complete(clone, Store(uri, tmp_path), ONE)
        dying = start(retrain(OTHER), clone, MLFLOW_TRACKING_URI=uri, MODESCOPE_PUSH_SECONDS="0")
        while ask(database, "SELECT COUNT(*) FROM metrics JOIN runs USING (run_uuid) WHERE runs.name = ?", OTHER) == 0:
            assert dying.poll() is None
            time.sleep(0.01)
        kill(server)
        lines = lines_of(dying)
        assert dying.wait() == 0 and trained(clone, OTHER) == expected[OTHER]
        assert sum("tracking is off" in line for _, line in lines) == 1
    assert ask(database, "SELECT status FROM runs WHERE name = ?", OTHER) == "RUNNING"
    with serve(tmp_path / "second.log"):
        first, again = (run("modescope sync", clone, **patient)[0] for _ in range(2))
        assert "completed" in first and "created" not in first and "completed" not in again
        check_complete(clone, Store(uri, tmp_path), OTHER)


def ask(database, question, *values):
    """The one value that answers a question in SQL."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        ((answer,),) = connection.execute(question, values)
    return answer


def test_a_full_disk_costs_one_line_and_no_output(clone):
    """A file system of its own for the work folder, visible to this command alone: full at the first checkpoint."""
    expected, others = trained(clone, ONE), outputs(clone)
    (clone / ".ckpt").mkdir()
    full = f"unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size=600k tmpfs {{}} && {retrain(ONE)}'"
    if subprocess.run(
        full.format(".ckpt").partition(" && ")[0] + "'", shell=True, cwd=clone, capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a file system of one's own (unshare)")
    for place in (".ckpt", "models/imbalance"):
        printed, _ = run(full.format(place), clone, expect=255, MODESCOPE_CHECKPOINT_SECONDS="0.5")
        told = errors(printed)
        assert len(told) == 1 and "no space left on device; free some space" in told[0], printed
        assert "Traceback" not in printed and "exited with 2" in printed
        run("dvc checkout -q", clone)
        assert outputs(clone) == others
    assert "goes on from step" in run(retrain(ONE), clone)[0]
    assert trained(clone, ONE) == expected
    check_complete(clone, store_of(clone), ONE)


def errors(printed):
    """What our programs refused."""
    return [line for line in printed.splitlines() if re.match("modescope: (?!warning)", line)]


def outputs(clone):
    """Every file that the pipeline keeps, with its size and digest."""
    files = [
        file for folder in ("data", "models", "profiles/demo") for file in (clone / folder).rglob("*") if file.is_file()
    ]
    return {file.relative_to(clone): sha256(file) for file in files}


def test_a_training_whose_losses_are_no_numbers_stops_and_says_so(clone):
    others = outputs(clone)
    printed, _ = run("dvc exp run -n wild -S imbalance.vae.lr=100.0 -s imbalance@vae-split4", clone, expect=255)
    reason = "training diverged: train/loss is not finite at step 2"
    (told,) = errors(printed)
    assert reason in told and "exited with 2" in printed and "Traceback" not in printed
    assert not list((clone / "models" / "imbalance").glob("*vae-split4*"))
    store = store_of(clone)
    (found,) = store.client.search_runs(list(store.experiments().values()))
    assert found.info.status == "FAILED" and reason in found.data.tags["error"] and found.data.tags["dvc.exp"] == "wild"
    run("git reset -q --hard && dvc checkout -q", clone)
    assert outputs(clone) == others

"""What MLflow's pages show of the demo's runs, asked over the API that they use."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from benchmarks.clones import DEMO, environment
from modescope.files import read_json
from servers import free_port

SHOWN = ("gan-split4", "vae-split4", "gan-balanced")
FILE_THEM = """
import sys
from pathlib import Path
from modescope.files import read_json
from modescope.mlflow.filing import push
for run in sys.argv[1:]:
    push(Path("models/imbalance") / run, read_json(Path(f"profiles/demo/metrics/imbalance/{run}.json")))
"""


@pytest.fixture(scope="module")
def pages(new_clone, tmp_path_factory):
    """`modescope ui` on a store with three runs: its address and the lines that it printed."""
    folder, store = new_clone(), f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    settings = environment(folder, MLFLOW_TRACKING_URI=store)
    subprocess.run([sys.executable, "-c", FILE_THEM, *SHOWN], cwd=folder, env=settings, check=True)
    port = free_port()
    server = subprocess.Popen(
        ["modescope", "ui", "--port", str(port)], cwd=folder, env=settings, stdout=subprocess.PIPE, text=True
    )
    try:
        yield f"http://127.0.0.1:{port}", [server.stdout.readline().strip() for _ in range(3)]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)


def ask(address, path, **content):
    """The answer to a question that the pages ask."""
    request = urllib.request.Request(
        f"{address}/ajax-api/2.0/mlflow/{path}",
        json.dumps(content).encode() if content else None,
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def found_runs(pages, order="metrics.`final/fid_classifier` ASC"):
    experiment = ask(pages[0], "experiments/get-by-name?experiment_name=imbalance")["experiment"]
    runs = ask(pages[0], "runs/search", experiment_ids=[experiment["experiment_id"]], order_by=[order])["runs"]
    return experiment, runs


def values(entries):
    return {entry["key"]: entry["value"] for entry in entries}


def test_the_table_has_columns_and_the_best_run_first(demo, pages):
    experiment, runs = found_runs(pages)
    assert any("compareRunsMode=CHART" in line for line in pages[1]) and any(
        "viewStateShareKey=modescope" in line for line in pages[1]
    )
    view = json.loads(values(experiment["tags"])["mlflow.sharedViewState.modescope"])
    fid = {run: read_json(demo.template / DEMO / f"metrics/imbalance/{run}.json")["fid_classifier"] for run in SHOWN}
    assert [run["info"]["run_name"] for run in runs] == sorted(SHOWN, key=fid.get)
    assert view["orderByKey"] == "metrics.`final/fid_classifier`" and "tags.`changes`" in view["selectedColumns"]


def test_few_metrics_apart_from_those_of_single_classes(pages):
    for run in found_runs(pages)[1]:
        names = [metric["key"] for metric in run["data"]["metrics"]]
        assert sum(name.count("/") == 1 for name in names) < 40 and all(
            name.split("/")[0] in ("train", "eval", "final") for name in names
        )


def test_a_page_answers_by_itself(demo, pages):
    run = next(run for run in found_runs(pages)[1] if run["info"]["run_name"] == "gan-split4")
    tags, info = values(run["data"]["tags"]), read_json(demo.template / "models/imbalance/gan-split4/run.json")
    for fact in (
        "digits-rgb",
        "split4",
        info["weights_sha256"][:12],
        "profiles/demo/reports/imbalance/index.html#gan-split4",
        "modescope sample gan-split4",
        "imbalance@gan-split4",
    ):
        assert fact in tags["mlflow.note.content"]
    assert tags["mlflow.source.name"] == "imbalance@gan-split4"
    assert run["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "digits-rgb split4"


def test_sample_grids_have_a_slider_and_curves_a_history(pages):
    address, run = pages[0], found_runs(pages)[1][0]["info"]["run_id"]
    pictures = [file["path"] for file in ask(address, f"artifacts/list?run_id={run}&path=images")["files"]]
    steps = {int(path.split("+")[2]) for path in pictures}
    assert len(steps) > 1, pictures
    with urllib.request.urlopen(
        f"{address}/get-artifact?run_id={run}&path={urllib.request.quote(pictures[0])}", timeout=30
    ) as picture:
        assert len(picture.read()) > 100
    names = [
        metric["key"]
        for metric in ask(address, f"runs/get?run_id={run}")["run"]["data"]["metrics"]
        if metric["key"].startswith("train/")
    ]
    assert (
        len(ask(address, f"metrics/get-history?run_id={run}&metric_key={urllib.request.quote(names[0])}")["metrics"])
        > 1
    )


def test_every_run_of_the_demo_stands_where_its_page_leads(demo):
    folder = demo.template
    for file in [*folder.glob("models/*/*/run.json"), *folder.glob("data/reference*/*/run.json")]:
        info = read_json(file)
        report = (folder / DEMO / "reports" / info["study"] / "index.html").read_text(encoding="utf-8")
        assert f'id="{info["run"]}"' in report, info["run"]

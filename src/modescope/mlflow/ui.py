"""MLflow's own pages, served light and on this machine only."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

from modescope.errors import UserError
from modescope.mlflow.store import TRAINING, Store, opened
from modescope.process import STARTER, die_with_parent

SECONDS_TO_START = 120
CHARTS = f"{TRAINING}&compareRunsMode=CHART"
TABLE = f"{TRAINING}&compareRunsMode=TABLE&viewStateShareKey=modescope"
VIEW_TAG = "mlflow.sharedViewState.modescope"  # an experiment's tag, as MLflow's own "share" button keeps a view
SCORES = ("fid_classifier", "class_consistency", "class_share_tv", "recall", "kl_to_uniform", "accuracy")
MOST_PARAMS = 8
FIRST_COLUMNS = ("attributes.`Run Name`", "runDateAndNestInfo", "duration")  # MLflow's own
PIXELS_PER_LETTER, WIDE = 5, 220
LIGHT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # saves 14 processes and 2 GB


def serve(port: int) -> None:
    """Show the store in the browser until interrupted; of a store that is a server, print the links.

    Raises:
        UserError: the port is taken, or the store cannot be used.
    """
    with opened() as store:
        links = page_links(store, port)
    if store.artifacts is None:
        print("\n".join(links))
        return
    _check_free(port)
    server = subprocess.Popen(
        server_command(port),
        env={**server_environment(store.uri), STARTER: str(os.getpid())},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,  # MLflow's server passes SIGTERM on to its worker
    )
    try:
        _wait_until_up(server, port)
        print("\n".join([f"MLflow is up at {store.address(port)} (Ctrl-C ends it)", *links]), flush=True)
        server.wait()
    finally:
        _end(server)


def page_links(store: Store, port: int) -> list[str]:
    """For each study, the page with its runs' charts, and the table of its runs, which is given its columns."""
    links = []
    for study, number in sorted(store.experiments().items()):
        store.client.set_experiment_tag(number, VIEW_TAG, json.dumps(table_view(store, number)))
        page = f"{store.address(port)}/#/experiments/{number}/runs"
        links += [f"{study}: charts {page}?{CHARTS}", f"{' ' * len(study)}  table  {page}?{TABLE}"]
    return links or ["no runs yet: `dvc repro` makes them, `modescope sync` files those that lie in the files"]


def table_view(store: Store, experiment: str) -> dict[str, Any]:
    """How MLflow shall show the runs of a study: the best first, columns for scores, changes and varied parameters."""
    runs = store.client.search_runs([experiment], max_results=1000)
    scores = [name for name in SCORES if any(f"final/{name}" in run.data.metrics for run in runs)]
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.data.params.items():
            values.setdefault(name, set()).add(value)
    varied = sorted(
        (name for name in values if len(values[name]) > 1),
        key=lambda name: -sum(name in run.data.params for run in runs),
    )
    columns = (
        [f"metrics.`final/{name}`" for name in scores]
        + ["tags.`changes`"]
        + [f"params.`{name}`" for name in varied[:MOST_PARAMS]]
    )
    best_first = {"orderByKey": columns[0], "orderByAsc": scores[0] != "accuracy"} if scores else {}
    widths = {column: PIXELS_PER_LETTER * len(column) for column in columns} | {"tags.`changes`": WIDE}
    return {"selectedColumns": columns, "columnOrder": [*FIRST_COLUMNS, *columns], "columnWidths": widths, **best_first}


def server_environment(uri: str) -> dict[str, str]:
    """The store's address is given here, for it may hold a password and every user of a machine sees command lines."""
    return {**os.environ, **LIGHT, "MLFLOW_BACKEND_STORE_URI": uri}


def server_command(port: int) -> list[str]:
    """One worker, loopback only, no line per request."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "server", *options, "--uvicorn-opts", "--log-level warning"]


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"port {port} is taken: choose another, say `modescope ui --port {port + 1}`") from None


def _wait_until_up(server: subprocess.Popen, port: int) -> None:
    """Raises UserError if the server ends or does not answer in time; its own messages are above."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise UserError("MLflow's server did not start: see its messages above")


def _end(server: subprocess.Popen) -> None:
    """End the server with its workers, which share its session and may have outlived it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(10)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return

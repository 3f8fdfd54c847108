"""MLflow's own pages, served light, and on this machine only unless somebody asks for more."""

import errno
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
from modescope.mlflow.store import SCORES, TRAINING, Store, opened
from modescope.process import STARTER, die_with_parent

SECONDS_TO_START = 120
LOOPBACK, EVERYWHERE = "127.0.0.1", ("0.0.0.0", "::")
CHARTS = f"{TRAINING}&compareRunsMode=CHART"
TABLE = f"{TRAINING}&compareRunsMode=TABLE&viewStateShareKey=modescope"
VIEW_TAG = "mlflow.sharedViewState.modescope"  # an experiment's tag, as MLflow's own "share" button keeps a view
MOST_PARAMS, FEW_SCORES = 8, 2
FIRST_COLUMNS = ("attributes.`Run Name`", "runDateAndNestInfo", "duration")  # MLflow's own
PIXELS_PER_LETTER, WIDE = 5, 220
LIGHT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # saves 14 processes and 2 GB


def serve(port: int, host: str = LOOPBACK) -> None:
    """Show the store in the browser until interrupted; of a store that is a server, print the links.

    Raises:
        UserError: the port is taken, or the store cannot be used.
    """
    here = f"http://{LOOPBACK if host in EVERYWHERE else host}:{port}"
    with opened() as store:
        address = here if store.artifacts else store.address()
        links = page_links(store, address)
    if store.artifacts is None:
        print("\n".join(links))
        return
    _check_free(port, host)
    server = subprocess.Popen(
        server_command(port, host),
        env={**server_environment(store.uri), STARTER: str(os.getpid())},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,  # MLflow's server passes SIGTERM on to its worker
    )
    try:
        _wait_until_up(server, here)
        print("\n".join([f"MLflow is up at {here}/#/experiments?{TRAINING} (Ctrl-C ends it)", *links]), flush=True)
        with store.shown_at(here):
            server.wait()
    finally:
        _end(server)


def page_links(store: Store, address: str) -> list[str]:
    """For each study, the page with its runs' charts, and the table of its runs, which is given its columns."""
    links = []
    for study, number in sorted(store.experiments().items()):
        store.client.set_experiment_tag(number, VIEW_TAG, json.dumps(table_view(store, number)))
        page = f"{address}/#/experiments/{number}/runs"
        links += [f"{study}: charts {page}?{CHARTS}", f"{' ' * len(study)}  table  {page}?{TABLE}"]
    return links or ["no runs yet: `dvc repro` makes them, `modescope sync` files those that lie in the files"]


def table_view(store: Store, experiment: str) -> dict[str, Any]:
    """How MLflow shall show a study's runs: the best first; two scores, changes, the seed, and what else differs."""
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
    metrics = [f"metrics.`final/{name}`" for name in scores]
    params = [f"params.`{name}`" for name in sorted(varied[:MOST_PARAMS], key=lambda name: name != "seed")]
    columns = [*metrics[:FEW_SCORES], "tags.`changes`", *params, *metrics[FEW_SCORES:]]
    best_first = {"orderByKey": columns[0], "orderByAsc": scores[0] != "accuracy"} if scores else {}
    widths = {column: PIXELS_PER_LETTER * len(column) for column in columns} | {"tags.`changes`": WIDE}
    return {"selectedColumns": columns, "columnOrder": [*FIRST_COLUMNS, *columns], "columnWidths": widths, **best_first}


def server_environment(uri: str) -> dict[str, str]:
    """The store's address is given here, for it may hold a password and every user of a machine sees command lines."""
    return {**os.environ, **LIGHT, "MLFLOW_BACKEND_STORE_URI": uri}


def server_command(port: int, host: str = LOOPBACK) -> list[str]:
    """One worker, no line per request."""
    options = ["--host", host, "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "server", *options, "--uvicorn-opts", "--log-level warning"]


def _check_free(port: int, host: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                advice = f"port {port} is taken: choose another, say `modescope ui --port {port + 1}`"
            else:
                advice = f"--host {host} --port {port} is refused ({error}): name an address of this machine"
            raise UserError(advice) from None


def _wait_until_up(server: subprocess.Popen, address: str) -> None:
    """Raises UserError if the server ends or does not answer in time; its own messages are above."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
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

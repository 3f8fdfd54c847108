"""MLflow's own pages, served light and on this machine only."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from modescope.errors import UserError
from modescope.tracking.mlflow_store import FAULTS, Store, open_store, store_uri, unreachable

SECONDS_TO_START = 120
CHARTS = "workflowType=machine_learning&compareRunsMode=CHART"  # else MLflow opens its pages for language models
LIGHT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # saves 14 processes and 2 GB


def serve(port: int) -> None:
    """Show the store in the browser until interrupted; of a store that is a server, print the links.

    Raises:
        UserError: the port is taken, or the store cannot be used.
    """
    try:
        store = open_store()
        links = chart_links(store, port)
    except FAULTS as error:
        raise unreachable(store_uri(), error) from error
    if store.artifacts is None:
        print("\n".join(links))
        return
    _check_free(port)
    command, environment = server_command(store.uri, port), {**os.environ, **LIGHT}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_up(server, port)
        print("\n".join([f"MLflow is up at {store.address(port)} (Ctrl-C ends it)", *links]), flush=True)
        server.wait()
    finally:
        _end(server)


def chart_links(store: Store, port: int) -> list[str]:
    """For each study, the page with its runs' charts."""
    experiments = store.experiments()
    links = [f"{study}: {store.address(port)}/#/experiments/{number}/runs?{CHARTS}" for study, number in sorted(experiments.items())]
    return links or ["no runs yet: `dvc repro` makes them, `modescope sync` files those that lie in the files"]


def server_command(uri: str, port: int) -> list[str]:
    """One worker, loopback only, no line per request."""
    options = ["--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "server", *options, "--uvicorn-opts", "--log-level warning"]


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"port {port} is taken: choose another, say `modescope ui --port {port + 1}`") from None


def _wait_until_up(server: subprocess.Popen, port: int) -> None:
    """Raises UserError if the server ends or does not answer in time; its own words are above."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise UserError("MLflow's server did not start: see its messages above")


def _end(server: subprocess.Popen) -> None:
    """End the server with its workers, which share its session."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()

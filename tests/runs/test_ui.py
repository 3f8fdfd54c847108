"""`modescope ui`: light, on loopback, ended by Ctrl-C."""

import json
import signal
import socket
import urllib.request
from pathlib import Path

import psutil
import pytest

from modescope.errors import UserError
from modescope.mlflow.filing import push
from modescope.mlflow.store import open_store
from modescope.mlflow.ui import page_links, serve, server_command
from tracked_runs import start_python, train_run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_said(project):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is taken"):
            serve(port)


def test_links_land_on_the_charts_and_on_a_table_with_columns(project):
    assert "no runs yet" in page_links(open_store(), 5000)[0]
    for key, lr in (("00000000000000aa", 0.1), ("00000000000000bb", 0.2)):
        train_run(Path("models/out"), key=key, params={"seed": 0, "gan": {"lr": lr}})
        push(Path("models/out"), {"fid_classifier": 1 / lr, "recall": lr})
    number = open_store().experiments()["imbalance"]
    page = f"http://127.0.0.1:5007/#/experiments/{number}/runs?workflowType=machine_learning&compareRunsMode="
    assert page_links(open_store(), 5007) == [
        f"imbalance: charts {page}CHART",
        f"           table  {page}TABLE&viewStateShareKey=modescope",
    ]
    view = json.loads(open_store().client.get_experiment(number).tags["mlflow.sharedViewState.modescope"])
    assert view["selectedColumns"] == [
        "metrics.`final/fid_classifier`",
        "metrics.`final/recall`",
        "tags.`changes`",
        "params.`gan.lr`",
    ]
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`final/fid_classifier`", True)


def test_the_server_keeps_to_this_machine(project):
    command = " ".join(server_command("sqlite:///a.db", 5000))
    assert "--host 127.0.0.1" in command and "--workers 1" in command


def test_the_pages_come_up_and_ctrl_c_ends_them(project):
    port = free_port()
    shown = start_python(
        f"import sys; sys.argv = ['modescope', 'ui', '--port', '{port}']; from modescope.cli import main; main()"
    )
    try:
        lines = [shown.stdout.readline(), shown.stdout.readline()]
        assert f"127.0.0.1:{port}" in lines[0] and "no runs yet" in lines[1], lines
        family = psutil.Process(shown.pid).children(recursive=True)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert page.status == 200
        shown.send_signal(signal.SIGINT)
        _, errors = shown.communicate(timeout=20)
    finally:
        shown.kill()
    assert shown.returncode == 130 and "Traceback" not in errors
    assert 1 <= len(family) <= 4 and not any(
        process.is_running() and process.status() != "zombie" for process in family
    )

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
from modescope.mlflow.ui import page_links, serve, server_command, server_environment
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
    assert "no runs yet" in page_links(open_store(), "http://127.0.0.1:5000")[0]
    for key, lr in (("00000000000000aa", 0.1), ("00000000000000bb", 0.2)):
        train_run(Path("models/out"), key=key, params={"seed": 0, "gan": {"lr": lr}})
        push(Path("models/out"), {"fid_classifier": 1 / lr, "recall": lr})
    number = open_store().experiments()["imbalance"]
    page = f"http://127.0.0.1:5007/#/experiments/{number}/runs?workflowType=machine_learning&compareRunsMode="
    assert page_links(open_store(), "http://127.0.0.1:5007") == [
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
    command = " ".join(server_command(5000))
    assert "--host 127.0.0.1" in command and "--workers 1" in command


def test_another_host_is_asked_for_by_name_and_refused_if_it_is_no_address_of_ours(project):
    assert "--host 0.0.0.0" in " ".join(server_command(5000, "0.0.0.0"))
    with pytest.raises(UserError, match="--host 192.0.2.1 --port 5000 is refused"):
        serve(5000, "192.0.2.1")


def test_a_password_of_the_store_is_not_on_the_servers_command_line():
    uri = "postgresql://me:secret@host/runs"
    assert uri in server_environment(uri).values() and "secret" not in " ".join(server_command(5000))


@pytest.fixture
def shown(project):
    """`modescope ui` and the port on which its pages are up."""
    port = free_port()
    command = f"import sys; sys.argv = ['modescope', 'ui', '--port', '{port}']; from modescope.cli import main; main()"
    ui = start_python(command)
    lines = [ui.stdout.readline(), ui.stdout.readline()]
    assert f"127.0.0.1:{port}" in lines[0] and "no runs yet" in lines[1], lines
    yield ui, port
    ui.kill()


def is_there(process):
    return process.is_running() and process.status() != "zombie"


def test_the_pages_come_up_and_ctrl_c_ends_them(shown):
    ui, port = shown
    family = psutil.Process(ui.pid).children(recursive=True)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
        assert page.status == 200
    ui.send_signal(signal.SIGINT)
    _, errors = ui.communicate(timeout=20)
    assert ui.returncode == 130 and "Traceback" not in errors
    assert 1 <= len(family) <= 4 and not any(map(is_there, family))


def test_kill_9_ends_the_server_with_its_workers(shown):
    ui, port = shown
    family = psutil.Process(ui.pid).children(recursive=True)
    ui.kill()
    psutil.wait_procs(family, timeout=10)
    assert len(family) >= 2 and not any(map(is_there, family))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port))

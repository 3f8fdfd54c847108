"""`--on ray`: three nodes on this machine without a common folder; DVC's remote is on a real sshd, or a folder."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from modescope.errors import UserError
from modescope.parallel.driver import repro
from modescope.parallel.sweep import sweep
from servers import free_port, ssh_server
from small_pipelines import DIAMOND, GRID, content, experiments, left_behind, serial

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'modescope[ray]'"
)
SECONDS_TO_START = 120


def test_without_ray_it_says_what_to_install(project, monkeypatch):
    project(DIAMOND)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="Ray is not installed, `pip install 'modescope.ray.'` installs it"):
        repro(on="ray")


@needs_ray
def test_an_address_that_answers_nothing(project):
    project(DIAMOND)
    began = time.monotonic()
    with pytest.raises(UserError, match="--on ray://127.0.0.1:9: no Ray cluster answers .*Connection refused"):
        repro(on="ray://127.0.0.1:9")
    assert time.monotonic() - began < 10 and not Path("data").exists()


@contextmanager
def cluster(folder, nodes=3):
    """The address for clients of a Ray cluster; every node works in `folder`/NODE."""
    head, client = free_port(), free_port()
    common = ["--block", "--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--node-ip-address=127.0.0.1", *common]
    address = ["--head", f"--port={head}", f"--ray-client-server-port={client}", "--include-dashboard=false"]
    with ExitStack() as stack:
        sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray"))  # their paths must be short
        for number in range(nodes):
            settings = {"MODESCOPE_SCRATCH": str(folder / f"node{number}"), "RAY_AUTH_MODE": "disabled"}
            output = stack.enter_context(open(folder / f"node{number}.log", "w", encoding="utf-8"))
            where = [*address, f"--temp-dir={sockets}"] if number == 0 else [f"--address=127.0.0.1:{head}"]
            node = subprocess.Popen([*start, *where], env=os.environ | settings, stdout=output, stderr=output)
            stack.callback(end, node)
            deadline = time.monotonic() + SECONDS_TO_START
            while "Ray runtime started" not in (folder / f"node{number}.log").read_text():
                assert node.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
        yield f"ray://127.0.0.1:{client}"


def end(node):
    node.terminate()
    node.wait(SECONDS_TO_START)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The address of a cluster, and the folder that holds its nodes'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        folder = tmp_path_factory.mktemp("nodes")
        with cluster(folder) as address:
            yield address, folder


@needs_ray
def test_nodes_without_a_common_disk(project, tmp_path, nodes):
    address, folders = nodes
    expected = serial(project(DIAMOND, "serial"))
    folder = project(DIAMOND)
    with ssh_server(tmp_path / "ssh") as server:
        with pytest.raises(UserError, match="not every node of the cluster sees .* no default remote"):
            repro(on=address)
        url = f"ssh://{server.user}@127.0.0.1:{server.port}{tmp_path}/remote"
        use_remote(folder, url, f"\n keyfile = {server.key}")
        assert repro(on=address) == 0
    assert {name: text for name, text in content(folder).items() if not name.startswith("mlflow")} == expected
    assert len([*folders.glob("node*/*/cache/files")]) > 1


def use_remote(folder, url, more=""):
    settings = f"[core]\n remote = there\n['remote \"there\"']\n url = {url}{more}\n"
    (folder / ".dvc/config.local").write_text(settings)


@needs_ray
def test_a_sweep_records_what_one_on_this_machine_does(swept, tmp_path, nodes):
    folder = swept("here")
    assert sweep(GRID) == 0
    expected = sorted(experiments(folder).values())
    folder = swept()
    use_remote(folder, tmp_path / "remote")
    assert sweep(GRID, on=nodes[0]) == 0
    assert sorted(experiments(folder).values()) == expected and not left_behind(folder)
    assert (tmp_path / "remote/files").is_dir()


@needs_ray
def test_needs_that_no_node_meets(project, tmp_path, nodes):
    folder = project({"first": {"cmd": "cp seed.txt x", "deps": ["seed.txt"], "outs": ["x"], "meta": {"gpus": 2}}})
    use_remote(folder, tmp_path / "remote")
    with pytest.raises(UserError, match="stage first needs 2 GPUs, but there are 0 on the largest node"):
        repro(on=nodes[0])
    assert not (folder / "x").exists()

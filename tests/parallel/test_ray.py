"""`--on ray`: three nodes on this machine without a common folder; DVC's remote is on a real sshd, or a folder."""

import importlib.util
import socket
import time
from pathlib import Path

import pytest

from benchmarks.kills_on_ray import cluster
from modescope.errors import UserError
from modescope.parallel.driver import repro
from modescope.parallel.sweep import sweep
from servers import ssh_server
from small_pipelines import DIAMOND, GRID, content, experiments, left_behind, serial

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'modescope[ray]'"
)


def test_without_ray_it_says_what_to_install(project, monkeypatch):
    project(DIAMOND)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="Ray is not installed, `pip install -e '..ray.'` installs it"):
        repro(on="ray")


@needs_ray
def test_an_address_where_something_else_listens_is_one_line(project, monkeypatch, recwarn):
    monkeypatch.setattr("ray.util.client.worker.INITIAL_TIMEOUT_SEC", 0.1)
    project(DIAMOND)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(UserError, match="no Ray cluster answers .*timeout.*: is it HOST:10001 of a head"):
            repro(on=f"ray://127.0.0.1:{server.getsockname()[1]}")
    assert not [each for each in recwarn if "Ray" in str(each.message)] and not Path("data").exists()


@needs_ray
def test_an_address_that_answers_nothing(project):
    project(DIAMOND)
    began = time.monotonic()
    with pytest.raises(UserError, match="--on ray://127.0.0.1:9: no Ray cluster answers .*Connection refused"):
        repro(on="ray://127.0.0.1:9")
    assert time.monotonic() - began < 10 and not Path("data").exists()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The address of a cluster, and the folder that holds its nodes'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        folder = tmp_path_factory.mktemp("nodes")
        with cluster(folder) as made:
            yield made.address, folder


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

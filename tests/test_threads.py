"""A stage's threads: their number is a parameter, how they wait follows from what else the machine does."""

import importlib
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
import yaml

from modescope import stages, threads
from modescope.config import profile_values

PASSIVE = {"OMP_WAIT_POLICY": "passive"}
COMPUTE_NOTHING = {"code", "download", "split", "split-grey", "settings", "report-classifiers", "game", "overview"}


@pytest.fixture
def environment(monkeypatch):
    """The environment, with threads of its own and no word on how they wait; changes to it are undone."""
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "7"})
    return os.environ


def free(cores: float) -> SimpleNamespace:
    return SimpleNamespace(free_cores=lambda: cores)


def test_a_stage_that_starts_has_the_threads_of_params_yaml(tmp_path, monkeypatch, environment, capsys):
    """Whatever the environment says and the machine has; torch, too."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(profile_values("standard") | {"threads": 3}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threads, "Watch", lambda: free(2.0))
    had = torch.get_num_threads()
    importlib.reload(stages)
    assert environment["OMP_NUM_THREADS"] == "7", "importing a stage is not starting it"
    monkeypatch.setattr(sys, "argv", ["-m", "split"])
    importlib.reload(stages)
    try:
        threads.tell_torch()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(had)
    assert {environment[name] for name in threads.COUNTS} == {"3"} and environment["OMP_WAIT_POLICY"] == "passive"
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(("values", "words"), [({"threads": 0}, "`threads` = 0"), ({"seed": -1}, "`seed` = -1")])
def test_bad_parameters_are_one_line(tmp_path, monkeypatch, capsys, values, words):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(profile_values("standard") | values))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["-m", "split"])
    with pytest.raises(SystemExit, match="2"):
        importlib.reload(stages)
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("count", "cores", "passive"),
    [(2, 2.0, False), (2, 1.8, False), (2, 1.5, True), (2, 0.1, True), (2, 63.0, False), (4, 2.0, True)],
)
def test_threads_sleep_where_they_cannot_run_all_at_once(environment, count, cores, passive):
    said = threads.choose_waiting(count, free(cores))
    assert ("asleep" in said, "spinning" in said, f"{cores} cores" in said) == (passive, not passive, True)
    assert environment.get("OMP_WAIT_POLICY") == ("passive" if passive else None)


@pytest.mark.parametrize(
    ("count", "theirs"), [(1, {}), (2, {"OMP_WAIT_POLICY": "active"}), (2, {"GOMP_SPINCOUNT": "0"})]
)
def test_one_thread_waits_for_nobody_and_the_user_has_the_last_word(
    tmp_path, monkeypatch, environment, capsys, count, theirs
):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(profile_values("standard") | {"threads": count}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threads, "Watch", lambda: SimpleNamespace())  # nobody asks it
    environment |= theirs
    threads.settle_threads()
    assert environment["OMP_NUM_THREADS"] == str(count) and capsys.readouterr().out == ""
    assert {name: environment[name] for name in threads.WAITING & environment.keys()} == theirs


@pytest.mark.parametrize(
    ("later", "quota", "expected"),
    [
        ((11.0, 102.0, 5.0), math.inf, 2.0),  # two cores rested for a second
        ((11.0, 101.0, 6.0), math.inf, 2.0),  # this process had one of them
        ((11.0, 100.0, 6.0), math.inf, 1.0),  # and others had the other
        ((10.5, 100.0, 5.0), math.inf, 0.0),
        ((11.0, 102.0, 5.0), 0.5, 0.5),
    ],
)
def test_what_this_process_does_is_no_other_work(monkeypatch, later, quota, expected):
    clocks = iter([(10.0, 100.0, 5.0), later])
    monkeypatch.setattr(threads, "_clocks", lambda: next(clocks))
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert threads.Watch().free_cores() == expected


def test_what_dvc_does_is_no_other_work(monkeypatch):
    """Of an ancestor user and system time count, not its children's."""
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(parents=lambda: []))
    alone = threads._clocks()[2]
    dvc = SimpleNamespace(cpu_times=lambda: (1000.0, 500.0, 70.0, 70.0))
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(parents=lambda: [dvc]))
    assert threads._clocks()[2] - alone == pytest.approx(1500, abs=1)


def test_this_machine_has_so_many_cores():
    cores = threads.Watch().free_cores()
    assert -0.1 < cores < (os.cpu_count() or 1) + 0.2


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, 1.5),  # a container, version 2
        ("0::/", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/", {}, math.inf),  # not in a container
        ("0::/a/b", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 0.5),  # a parent's limit holds
        ("0::/a", {"other/cpu.max": "50000 100000\n", "a/cpu.max": "max 100000\n"}, math.inf),
        ("3:memory:/a\n1:cpu,cpuacct:/a", {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000"}, 2.5),
        ("1:cpu,cpuacct:/a", {"cpu,cpuacct/cpu.cfs_quota_us": "-1"}, math.inf),
        ("1:cpu:/of/the/host", {"cpu/cpu.cfs_quota_us": "200000"}, 2.0),  # a container, version 1
    ],
)
def test_control_groups_limit_the_cores(tmp_path, own, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).with_name("cpu.cfs_period_us").write_text("100000")
    (tmp_path / "own").write_text(f"{own}\n")
    assert threads.cpu_quota(tmp_path, tmp_path / "own") == expected
    assert threads.cpu_quota(tmp_path, tmp_path / "nothing") == math.inf


def test_every_stage_that_computes_declares_its_threads():
    parsed = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {name for name, stage in parsed.items() if "threads" not in stage.get("do", stage).get("params", [])} == (
        COMPUTE_NOTHING
    )

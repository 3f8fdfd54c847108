"""benchmarks/gpu_check.py: its clock."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    from benchmarks import gpu_check

    return gpu_check


def test_a_command_that_ends_in_time_gives_its_code_and_what_it_said(gpu_check):
    code, printed, took = gpu_check.limited([sys.executable, "-c", "print('said'); raise SystemExit(3)"], seconds=60)
    assert (code, printed) == (3, "said\n") and took < 60


def test_a_command_that_does_not_is_told_to_stop_and_keeps_what_it_said(gpu_check):
    stays = "import time, signal\nsignal.signal(signal.SIGTERM, lambda *_: exit(print('kept')))\nprint('began', flush=True)\ntime.sleep(60)"
    code, printed, took = gpu_check.limited([sys.executable, "-c", stays], seconds=2)
    assert code is None and printed == "began\nkept\n" and took < 30

"""Fixtures of all tests."""

import os
import signal
from pathlib import Path

import pytest


@pytest.fixture
def mirror() -> Path:
    """The mirror of real data; tests that need it are skipped where there is none."""
    folder = os.environ.get("MODESCOPE_MIRROR")
    if not folder:
        pytest.skip("set MODESCOPE_MIRROR to run the tests on real data")
    return Path(folder).resolve()


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """A shell that starts pytest in the background makes it and its children deaf to Ctrl-C, which some tests send."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

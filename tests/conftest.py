"""Fixtures of all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def mirror() -> Path:
    """The mirror of real data; tests that need it are skipped where there is none."""
    folder = os.environ.get("MODESCOPE_MIRROR")
    if not folder:
        pytest.skip("set MODESCOPE_MIRROR to run the tests on real data")
    return Path(folder).resolve()

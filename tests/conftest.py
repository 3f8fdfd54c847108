"""Fixtures of all tests, and the order in which two workers get through them soonest."""

import os
import signal
from pathlib import Path

import pytest

PIPELINE = Path(__file__).parent / "pipeline"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the pipeline's tests as slow, and let the demo begin first, its clones come last: units run meanwhile."""
    for item in items:
        if item.path.is_relative_to(PIPELINE):
            item.add_marker("slow")
    items.sort(key=lambda item: 0 if item.path.name == "test_demo.py" else 1 + item.path.is_relative_to(PIPELINE))


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

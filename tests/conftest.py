"""Fixtures of all tests, and the order in which two workers get through them soonest."""

import os
import signal
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SLOW = {  # whole runs, many processes, whole pages, other programs' networks
    "parallel",
    "pipeline",
    "stages",
    "test_bench.py",
    "test_browser.py",
    "test_cgan_figures.py",
    "test_cgan_findings.py",
    "test_cgan_tables.py",
    "test_compared.py",
    "test_diagrams.py",
    "test_doctor.py",
    "test_export.py",
    "test_extractors.py",
    "test_filing.py",
    "test_fuzz.py",
    "test_gpu_check.py",
    "test_guides.py",
    "test_imbalance_figures.py",
    "test_imbalance_tables.py",
    "test_log.py",
    "test_pages.py",
    "test_places.py",
    "test_process.py",
    "test_promote.py",
    "test_start_up.py",
    "test_store.py",
    "test_two_stage_figures.py",
    "test_two_stage_findings.py",
    "test_two_stage_tables.py",
    "test_ui.py",
    "test_vision.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow. Units run while one worker makes the demo; tests of its clones come last."""
    places = {item: item.path.relative_to(TESTS).parts for item in items}
    for item, place in places.items():
        if SLOW & set(place):
            item.add_marker("slow")
    items.sort(key=lambda item: 0 if places[item][-1] == "test_demo.py" else 1 + (places[item][0] == "pipeline"))


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

"""A short form of benchmarks/kills.py: killed in the middle of the training, the pipeline ends where the undisturbed
one does.
"""

import tempfile
import time

import pytest
import yaml

from benchmarks import kills
from benchmarks.clones import commit


@pytest.fixture
def unfinished(clone):
    """A clone of the demo that knows nothing of one GAN and its evaluation, and their results in the demo."""
    expected = kills.results(clone)
    lock = yaml.safe_load((clone / "dvc.lock").read_text())
    for stage in (kills.TARGET, kills.TARGET.removeprefix("evaluate-")):
        del lock["stages"][stage]
    (clone / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    (clone / kills.METRICS).unlink()
    commit(clone, "one training is missing")
    return clone, expected


def test_killed_commands_change_nothing(unfinished):
    """`dvc repro` goes on by itself after kill -9 of all its processes; after kill -9 of `dvc exp run`, the doctor
    brings the branch back first.
    """
    clone, expected = unfinished
    for attempt in (kills.Try(kills.REPRO, "kill -9 of all", 0), kills.Try(kills.EXPERIMENT, "kill -9 of dvc", 0)):
        kills.forget(clone)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = kills.begin(clone, attempt.command, output)
            deadline = time.monotonic() + 180
            while not [*(clone / ".ckpt").glob("*/checkpoint.pt")]:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
            kills.kill(clone, attempt, process, output)
        kills.finish(clone, attempt, expected)
        assert attempt.same and attempt.resumed_from > 0, attempt
        assert any("HEAD left branch" in line for line in attempt.found) == (attempt.command == kills.EXPERIMENT)
    assert all(statuses == ["FINISHED"] for statuses in kills.stored_runs(clone).values())

"""Keys name what a run is made of."""

from pathlib import Path

import pytest

from modescope.provenance import code_digest, local_imports, run_key

PARTS = {"stage": "imbalance:gan", "params": {"seed": 1}, "data_digests": {"train": "aa"}, "code": "bb"}


def test_equal_parts_give_equal_keys():
    assert run_key(**PARTS) == run_key(**{**PARTS, "params": dict(PARTS["params"])})
    assert len(run_key(**PARTS)) == 16


@pytest.mark.parametrize(
    "change", [{"stage": "x"}, {"params": {"seed": 0}}, {"data_digests": {"train": "ab"}}, {"code": "bc"}]
)
def test_any_changed_part_changes_the_key(change):
    assert run_key(**{**PARTS, **change}) != run_key(**PARTS)


def test_imports_are_followed_and_filing_is_left_out():
    names = {
        Path(*path.parts[path.parts.index("modescope") :]).as_posix()
        for path in local_imports("modescope.stages.imbalance")
    }
    assert {"modescope/stages/imbalance.py", "modescope/training/loop.py", "modescope/models/layers.py"} <= names
    assert not names & {
        "modescope/runs/log.py",
        "modescope/mlflow/filing.py",
        "modescope/config/params.py",
        "modescope/report/tables.py",
    }


def test_code_digest_follows_the_code():
    assert code_digest("modescope.training.loop") != code_digest("modescope.training.losses")
    assert code_digest("modescope.training.loop") == code_digest("modescope.training.loop")

"""Keys name what a run is made of."""

import pytest

from modescope.runs.key import run_key

PARTS = {"stage": "imbalance:gan", "params": {"seed": 1}, "data_digests": {"train": "aa"}, "code": "bb"}


def test_equal_parts_give_equal_keys():
    assert run_key(**PARTS) == run_key(**{**PARTS, "params": dict(PARTS["params"])})
    assert len(run_key(**PARTS)) == 16


@pytest.mark.parametrize(
    "change", [{"stage": "x"}, {"params": {"seed": 0}}, {"data_digests": {"train": "ab"}}, {"code": "bc"}]
)
def test_any_changed_part_changes_the_key(change):
    assert run_key(**{**PARTS, **change}) != run_key(**PARTS)

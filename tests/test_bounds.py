"""Every number of params.yaml has its bounds, and what lies outside is refused in one line."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

import fuzz
from modescope.config import Params, load_params, parse_params, profile_values
from modescope.errors import UserError

STANDARD = profile_values("standard")
LOWER, UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


def numbers(node, where=""):
    """Every integer and number of a JSON schema, by its place."""
    if isinstance(node, dict):
        if node.get("type") in ("integer", "number"):
            yield where, node
        for key, value in node.items():
            yield from numbers(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from numbers(value, f"{where}/{index}")


def places(values, path=()):
    """Every number of the parameters, as its path."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        elif type(value) in (int, float):
            yield (*path, key)


FIELDS = dict(numbers(Params.model_json_schema()))


def test_every_number_of_every_section_has_a_lower_and_an_upper_bound():
    assert len(FIELDS) > 90
    assert [
        name for name, field in FIELDS.items() if not (field.keys() & set(LOWER) and field.keys() & set(UPPER))
    ] == []
    assert all(math.isfinite(field[bound]) for field in FIELDS.values() for bound in field.keys() & {*LOWER, *UPPER})


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 2**64, 10**400, 1e300, -1e300], ids=fuzz.brief)
def test_no_number_is_infinite_nan_or_beyond_every_library(number):
    for path in places(STANDARD):
        values = json.loads(json.dumps(STANDARD))
        place = values
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = number
        with pytest.raises(UserError) as refusal:
            parse_params(values, "params.yaml")
        assert len(str(refusal.value)) < 300 and "\n" not in str(refusal.value), path


@pytest.mark.parametrize("text", [".inf", "1e999", ".nan", "9" * 5000, "0x" + "f" * 5000, str(2**64)], ids=fuzz.brief)
def test_such_numbers_in_the_file_are_one_line(text, tmp_path):
    file = tmp_path / "params.yaml"
    for name in ("seed", "epochs", "lr_generator"):
        file.write_text(json.dumps(STANDARD | {"seed": 1}).replace(f'"{name}": ', f'"{name}": {text}, "other": ', 1))
        with pytest.raises(UserError, match=r"params\.yaml") as refusal:
            load_params(file)
        assert len(str(refusal.value)) < 300 and "\n" not in str(refusal.value)


def test_the_largest_seed_is_one_for_torch_numpy_and_scikit_learn():
    seed = FIELDS["/properties/seed"]["exclusiveMaximum"] - 1
    assert parse_params(STANDARD | {"seed": seed}, "params.yaml").seed == seed
    torch.Generator().manual_seed(seed), np.random.default_rng(seed), check_random_state(seed)
    torch.Generator().manual_seed(seed * 1_000_003 + 10**9)  # as a classifier's batches
    with pytest.raises(ValueError):
        check_random_state(seed + 1)

"""params.yaml and profiles: what is refused, and that the committed file is the standard profile."""

import pytest
import yaml

from modescope.config import PARAMS, load_params, merge, parse_params, profile_name, profile_names, profile_values
from modescope.errors import UserError

STANDARD = profile_values("standard")


def changed(**path_to_value):
    values = STANDARD
    for path, value in path_to_value.items():
        change = value
        for key in reversed(path.split("__")):
            change = {key: change}
        values = merge(values, change)
    return values


def test_the_committed_parameters_are_the_standard_profile():
    if profile_name(load_params()) != "standard":
        pytest.skip("params.yaml holds other values than the standard profile's")
    assert PARAMS.read_text() == (PARAMS.parent / "profiles" / "standard.yaml").read_text()


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_is_valid_and_known_by_its_values(name):
    params = parse_params(profile_values(name), name)
    assert profile_name(params) == name
    assert profile_name(params.model_copy(update={"seed": 7})) == "custom"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (changed(imbalance__gan__epoch=3), "unknown key `imbalance.gan.epoch`"),
        (changed(imbalance__gan__epochs="ten"), "`imbalance.gan.epochs` = 'ten': input should be a valid integer"),
        (changed(imbalance__gan__lr=-1.0), "`imbalance.gan.lr` = -1.0: input should be greater than 0"),
        (changed(precision="fp8"), "`precision` = 'fp8': input should be 'fp32' or 'bf16'"),
        (changed(datasets__rgb="mnist"), "`datasets.rgb` = 'mnist'"),
        (changed(imbalance__splits=["balanced", "split9"]), r"imbalance.splits names \['split9'\], which split.counts does not draw"),
        ({key: value for key, value in STANDARD.items() if key != "seed"}, "`seed` is missing"),
        ("nonsense", "input should be a valid dictionary"),
    ],
)
def test_bad_values_are_refused_by_name(values, message, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=message) as refusal:
        load_params(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("text", "message"), [("a: [1", "not valid YAML"), (None, "is missing: run `modescope use standard`")])
def test_unreadable_files_are_one_line(text, message, tmp_path):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as refusal:
        load_params(path)
    assert "\n" not in str(refusal.value)


def test_numbers_are_read_as_dvc_writes_them(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text().replace("lr: 0.0002", "lr: 1e-05"))
    assert load_params(path).imbalance.gan.lr == 1e-5


def test_unknown_profile_names_the_known_ones():
    with pytest.raises(UserError, match="unknown profile `fast`: there are demo, paper, standard"):
        profile_values("fast")


def test_seed_zero_is_a_seed():
    assert parse_params(changed(seed=0), "test").seed == 0


def test_subset_nests_as_the_file_does():
    params = parse_params(STANDARD, "test")
    assert params.subset("seed", "imbalance.mixture") == {"seed": 42, "imbalance": {"mixture": {"components": 10}}}

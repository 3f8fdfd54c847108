"""params.yaml and profiles: what is refused, and that the committed file is the standard profile."""

import pytest
import yaml

from modescope.config import PARAMS, load_params, merge, parse_params, profile_name, profile_names, profile_values
from modescope.errors import UserError
from modescope.report.results import REPORTED
from modescope.report.two_stage.runs import TABLE_5

STANDARD = profile_values("standard")


def changed(**path_to_value):
    values = STANDARD
    for path, value in path_to_value.items():
        change = value
        for key in reversed(path.split("__")):
            change = {key: change}
        values = merge(values, change)
    return values


def with_row(**row):
    return changed(two_stage__rows={"mine": {"from": "stage1", **row}})


def with_stage1(**settings):
    return changed(two_stage__stage1={"mine": settings}, two_stage__rows={"row": {"from": "mine"}})


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
        (changed(add_stage2_ff=True, add_stage2_conv=True), "add_stage2_ff and add_stage2_conv are both true: .+ switch one off"),
        (changed(sft_input_dim=64), "sft_input_dim is 64 and latent_dim 100: .+ make them equal"),
        (changed(n_gen=0), "`n_gen` = 0: input should be greater than or equal to 1"),
        (changed(n_critic=0), "`n_critic` = 0: input should be greater than or equal to 1"),
        (changed(ce_loss_weight=-0.5), "`ce_loss_weight` = -0.5: input should be greater than or equal to 0"),
        (changed(prior="uniform"), "`prior` = 'uniform': input should be 'diagonal', 'sphere', 'orthogonal' or 'normal'"),
        (changed(prior="normal"), "two_stage.rows.a-0.1-n5: the normal prior has no classes"),
        (with_row(**{"from": "stage9"}), "two_stage.rows.mine: `from` must name a training of two_stage.stage1: stage1, .+"),
        (with_row(**{"from": ["stage1"]}), "two_stage.rows.mine: `from` must name a training of two_stage.stage1"),
        (changed(two_stage__rows={"mine": {"n_gen": 5}}), "two_stage.rows.mine: `from` must name a training of two_stage.stage1"),
        (with_row(**{"from": "stage1-normal"}), "two_stage.rows.mine: the normal prior has no classes to guide towards"),
        (with_row(prior="sphere"), "two_stage.rows.mine: prior is what stage 1 was trained with: set it in two_stage.stage1"),
        (with_row(ngf=8, latent_dim=10), "two_stage.rows.mine: latent_dim, ngf is what stage 1 was trained with"),
        (with_row(n_generator=5), "two_stage.rows.mine: unknown key `n_generator`"),
        (with_row(n_gen=0), "two_stage.rows.mine: `n_gen` = 0: input should be greater than or equal to 1"),
        (with_row(budget=0), "two_stage.rows.mine: "),
        (with_row(budget="half"), "two_stage.rows.mine: `budget` = 'half'"),
        (with_row(budget=None), "two_stage.rows.mine: `budget` = None"),
        (with_row(add_stage2_conv=True), "two_stage.rows.mine: add_stage2_ff and add_stage2_conv are both true"),
        (changed(two_stage__rows={"mine": None}), "`two_stage.rows.mine` = None: input should be a valid dictionary"),
        (changed(two_stage__rows={}), "`two_stage.rows` = {}: dictionary should have at least 1 item"),
        (with_stage1(n_gen=5), "two_stage.stage1.mine: unknown key `n_gen`"),
        (with_stage1(ngf=0), "two_stage.stage1.mine: `ngf` = 0"),
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


def test_a_row_inherits_from_its_stage1_and_that_from_the_top():
    rows = {"mine": {"from": "other", "n_gen": 7}}
    params = parse_params(changed(seed=5, two_stage__stage1={"other": {"prior": "sphere", "batch_size": 32}}, two_stage__rows=rows), "test")
    first, second = params.stage1_config("other"), params.stage2_config("mine")
    assert (first.prior, first.batch_size, first.seed) == ("sphere", 32, 5) == (second.prior, second.batch_size, second.seed)
    assert (second.n_gen, second.ce_loss_weight, params.n_gen) == (7, params.ce_loss_weight, 20)


@pytest.mark.parametrize(("row", "limit"), [({}, 300), ({"budget": 0.3}, 90), ({"budget": 3}, 900)])
def test_a_rows_budget_is_its_part_of_the_generator_steps(row, limit):
    params = parse_params(merge(with_row(**row), {"stage2_max_generator_steps": 300}), "test")
    assert params.stage2_config("mine").stage2_max_generator_steps == limit


@pytest.mark.parametrize(
    ("layers", "letter"),
    [((), "A"), (("ff",), "B"), (("conv",), "C"), (("input",), "D"), (("input", "ff"), "D"), (("input", "conv"), "D")],
)
def test_the_layers_decide_the_letter(layers, letter):
    row = {f"add_stage2_{name}": name in layers for name in ("input", "ff", "conv")}
    config = parse_params(with_row(**row), "test").stage2_config("mine")
    assert config.architecture == letter and config.has_adapters == bool(layers)


@pytest.mark.parametrize("profile", ["standard", "paper"])
def test_the_rows_are_those_of_table_5(profile):
    """In its order; where a line of the table states nothing the top level's value holds."""
    params = parse_params(profile_values(profile), profile)
    names, lines = list(params.two_stage.rows)[:17], yaml.safe_load(REPORTED.read_text())["two_stage"][1:]
    assert tuple(names) == TABLE_5[1:]
    for name, line in zip(names, lines, strict=True):
        config, extra = params.stage2_config(name), line["extra"] or ""
        assert config.architecture == line["arch"], name
        assert config.ce_loss_weight == (params.ce_loss_weight if line["lambda"] is None else line["lambda"]), name
        assert config.n_gen == (params.n_gen if line["n"] is None else line["n"]), name
        layers = (config.add_stage2_input, config.add_stage2_ff, config.add_stage2_conv)
        assert layers == (extra.startswith("I+"), "FF" in extra, "Conv" in extra), name
        assert config.batch_size == (256 if "batch 256" in extra else params.batch_size), name
        assert config.prior == params.prior, name


@pytest.mark.parametrize("profile", profile_names())
def test_no_training_stands_twice(profile):
    params = parse_params(profile_values(profile), profile)
    assert len({str(params.stage1_config(name)) for name in params.two_stage.stage1}) == len(params.two_stage.stage1)
    assert len({str(params.stage2_config(name)) for name in params.two_stage.rows}) == len(params.two_stage.rows)


def test_demo_has_a_row_of_every_architecture_and_no_other():
    params = parse_params(profile_values("demo"), "demo")
    assert list(params.two_stage.stage1) == ["stage1"]
    assert [params.stage2_config(name).architecture for name in params.two_stage.rows] == ["A", "B", "C", "D"]


def test_subset_nests_as_the_file_does():
    params = parse_params(STANDARD, "test")
    assert params.subset("seed", "imbalance.mixture") == {"seed": 42, "imbalance": {"mixture": {"components": 10}}}

"""params.yaml and profiles: what is refused, and that the committed file is the standard profile."""

from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from modescope.config import (
    PARAMS,
    load_params,
    merge,
    parse_params,
    profile_name,
    profile_names,
    profile_values,
    read_yaml,
)
from modescope.config.base import Section
from modescope.errors import UserError
from modescope.report.results import REPORTED
from modescope.studies.two_stage.rows import TABLE_5

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


def with_ours(name="mine", **row):
    return changed(cgan__ours={name: row}, seeds__more=[])


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
        (changed(precision="fp8"), "`precision` = 'fp8': input should be 'fp32', 'tf32' or 'bf16'"),
        (changed(datasets__rgb="mnist"), "`datasets.rgb` = 'mnist'"),
        (
            changed(imbalance__splits=["balanced", "split9"]),
            r"imbalance.splits names \['split9'\], which neither split.counts nor split.long_tailed draws",
        ),
        (changed(two_stage__split="lt1000"), r"two_stage.split names \['lt1000'\], which neither"),
        (
            changed(split__long_tailed={"split1": 10.0}),
            "split.long_tailed.split1: split.counts has a split of this name",
        ),
        (
            changed(split__long_tailed={"lt10": 0.1}),
            "`split.long_tailed.lt10` = 0.1: input should be greater than or equal to 1",
        ),
        (changed(seeds__more=[43, 42]), r"seeds.more \[43, 42\] names a seed twice, or 42, which is `seed`"),
        (changed(seeds__rows=["cgan-best"]), "seeds.rows names cgan-best, which is not trained: name some of cgan-bce"),
        ({key: value for key, value in STANDARD.items() if key != "seed"}, "`seed` is missing"),
        ("nonsense", "input should be a valid dictionary"),
        (
            changed(add_stage2_ff=True, add_stage2_conv=True),
            "add_stage2_ff and add_stage2_conv are both true: .+ switch one off",
        ),
        (changed(sft_input_dim=64), "sft_input_dim is 64 and latent_dim 100: .+ make them equal"),
        (changed(n_gen=0), "`n_gen` = 0: input should be greater than or equal to 1"),
        (changed(n_critic=0), "`n_critic` = 0: input should be greater than or equal to 1"),
        (changed(ce_loss_weight=-0.5), "`ce_loss_weight` = -0.5: input should be greater than or equal to 0"),
        (
            changed(prior="uniform"),
            "`prior` = 'uniform': input should be 'diagonal', 'sphere', 'orthogonal', 'close' or 'normal'",
        ),
        (changed(prior="normal"), "two_stage.rows.a-0.1-n5: the normal prior has no classes"),
        (
            with_row(**{"from": "stage9"}),
            "two_stage.rows.mine: `from` must name a training run of two_stage.stage1: stage1, .+",
        ),
        (with_row(**{"from": ["stage1"]}), "two_stage.rows.mine: `from` must name a training run of two_stage.stage1"),
        (
            changed(two_stage__rows={"mine": {"n_gen": 5}}),
            "two_stage.rows.mine: `from` must name a training run of two_stage.stage1",
        ),
        (
            with_row(**{"from": "stage1-normal"}),
            "two_stage.rows.mine: the normal prior has no classes to guide towards",
        ),
        (
            with_row(prior="sphere"),
            "two_stage.rows.mine: prior is what stage 1 was trained with: set it in two_stage.stage1",
        ),
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
        (changed(cgan__losses=["bce", "bec"]), "cgan: unknown loss `bec`: cgan.recipes has bce, "),
        (changed(cgan__losses=[]), r"`cgan.losses` = \[\]: list should have at least 1 item"),
        (changed(cgan__modes=["cgan", "gan"]), "`cgan.modes.1` = 'gan': input should be 'cgan' or 'dcgan'"),
        (
            changed(cgan__recipes__bce__n_critic=0),
            "`cgan.recipes.bce.n_critic` = 0: input should be greater than or equal to 1",
        ),
        (
            changed(cgan__recipes__bce__real_label=0.5),
            "`cgan.recipes.bce.real_label` = 0.5: input should be greater than 0.5",
        ),
        (
            changed(cgan__recipes__bce__real_label=1.1),
            "`cgan.recipes.bce.real_label` = 1.1: input should be less than or equal to 1",
        ),
        (
            changed(cgan__recipes__hinge__discriminator="patch"),
            "`cgan.recipes.hinge.discriminator` = 'patch': input should be 'spectral' or 'critic'",
        ),
        (
            changed(cgan__recipes__bce__betas=[0.5]),
            r"`cgan.recipes.bce.betas` = \[0.5\]: list should have at least 2 items",
        ),
        (
            changed(cgan__training__generator_width=33),
            "`cgan.training.generator_width` = 33: input should be a multiple of 2",
        ),
        (changed(cgan__training__dropout=1.0), "`cgan.training.dropout` = 1.0: input should be less than 1"),
        (
            changed(cgan__training__generator_labels="add"),
            "`cgan.training.generator_labels` = 'add': input should be 'multiply' or 'concat'",
        ),
        (with_ours("dcgan-bce", loss="bce"), "cgan.ours.dcgan-bce: a published row has this name, choose another"),
        (with_ours(loss="bce", widht=3), "cgan.ours.mine: unknown key `widht`"),
        (with_ours(loss="bec"), "cgan.ours.mine: unknown loss `bec`: cgan.recipes has bce"),
        (with_ours(loss=["bce"]), r"cgan.ours.mine: unknown loss `\['bce'\]`"),
        (with_ours(mode="cgan"), "cgan.ours.mine: unknown loss `None`"),
        (with_ours(loss="bce", mode="gan"), "cgan.ours.mine: `mode` = 'gan': input should be 'cgan' or 'dcgan'"),
        (with_ours(loss="bce", real_label=0.5), "cgan.ours.mine: `real_label` = 0.5: input should be greater than 0.5"),
        (
            with_ours(loss="bce", generator_width=3),
            "cgan.ours.mine: `generator_width` = 3: input should be a multiple of 2",
        ),
        (with_ours(loss="bce", ema_decay=1.0), "cgan.ours.mine: `ema_decay` = 1.0: input should be less than 1"),
        (changed(cgan__ours={"mine": None}), "`cgan.ours.mine` = None: input should be a valid dictionary"),
        (changed(stacked__losses=["bec"]), "stacked.training: unknown loss `bec`"),
        (changed(stacked__training={"steps": 5}), "stacked.training: unknown key `steps`"),
        (
            changed(stacked__training={"batch_size": 1}),
            "stacked.training: `batch_size` = 1: input should be greater than or equal to 2",
        ),
    ],
)
def test_bad_values_are_refused_by_name(values, message, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=message) as refusal:
        load_params(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "not valid YAML"), (None, "is missing: run `modescope use standard`")]
)
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
    params = parse_params(
        changed(seed=5, two_stage__stage1={"other": {"prior": "sphere", "batch_size": 32}}, two_stage__rows=rows),
        "test",
    )
    first, second = params.stage1_config("other"), params.stage2_config("mine")
    assert (
        (first.prior, first.batch_size, first.seed)
        == ("sphere", 32, 5)
        == (second.prior, second.batch_size, second.seed)
    )
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


def test_the_published_rows_are_every_mode_with_every_loss_and_ours_follow():
    params = parse_params(with_ours(loss="bce"), "test")
    assert list(params.cgan.rows) == [
        f"{mode}-{loss}" for mode in ("cgan", "dcgan") for loss in ("bce", "lsgan", "hinge", "wgan-gp")
    ] + ["mine"]


@pytest.mark.parametrize(
    ("row", "mode", "recipe"),
    [
        ("cgan-bce", "cgan", ("bce", "spectral", 0.9, 0.5, 1, [0.5, 0.999], 0.0)),
        ("dcgan-lsgan", "dcgan", ("lsgan", "spectral", 0.9, 0.5, 1, [0.5, 0.999], 0.0)),
        ("cgan-hinge", "cgan", ("hinge", "spectral", 1.0, 0.5, 1, [0.5, 0.999], 0.0)),
        ("dcgan-wgan-gp", "dcgan", ("wgan-gp", "critic", 1.0, 1.0, 5, [0.0, 0.9], 10.0)),
    ],
)
def test_a_loss_brings_its_recipe_along(row, mode, recipe):
    config = parse_params(STANDARD, "test").cgan.config(row)
    found = (
        config.loss,
        config.discriminator,
        config.real_label,
        config.d_loss_scale,
        config.n_critic,
        config.betas,
        config.lambda_gp,
    )
    assert config.mode == mode and found == recipe
    assert (config.latent_dim, config.batch_size, config.lr_generator, config.lr_discriminator) == (
        100,
        128,
        1e-4,
        4e-4,
    )


def test_a_row_of_ours_overrides_both_its_recipe_and_what_is_shared():
    values = merge(
        with_ours(loss="wgan-gp", n_critic=2, dropout=0.5, mode="dcgan"),
        {"cgan": {"recipes": {"wgan-gp": {"lambda_gp": 3.0}}}},
    )
    params = parse_params(values, "test")
    config, published = params.cgan.config("mine"), params.cgan.config("dcgan-wgan-gp")
    assert config.model_dump() == published.model_dump() | {"n_critic": 2, "dropout": 0.5} and config.lambda_gp == 3.0
    assert (published.n_critic, published.dropout) == (5, 0.25)


def test_stacked_digits_have_no_labels_and_override_what_is_shared():
    params = parse_params(changed(stacked__training={"generator_steps": 7, "critic_width": 5}), "test")
    config, published = params.stacked_config("wgan-gp"), params.cgan.config("dcgan-wgan-gp")
    expected = published.model_dump() | params.stacked.training
    assert config.model_dump() == expected and (config.mode, config.generator_steps, config.critic_width) == (
        "dcgan",
        7,
        5,
    )


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


def test_a_file_that_is_read_again_is_as_new(tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text("lr: 1e-05\nbetas: [0.5]\n")
    read_yaml(file)["betas"].append(0.9)
    assert read_yaml(file) == {"lr": 1e-5, "betas": [0.5]}
    file.write_text("lr: 2e-05\n")
    assert read_yaml(file) == {"lr": 2e-5}


def typed(value):
    """A value with the types of all that is in it: 1 and 1.0 differ."""
    if isinstance(value, dict):
        return {key: typed(entry) for key, entry in value.items()}
    return [typed(entry) for entry in value] if isinstance(value, list) else (type(value), value)


@pytest.mark.parametrize("file", ["dvc.yaml", PARAMS, *Path("profiles").glob("*.yaml")], ids=str)
def test_libyaml_which_is_five_times_as_fast_reads_the_same(file):
    fast, slow = YAML(typ="safe"), YAML(typ="safe", pure=True)
    assert fast.Parser is not slow.Parser, (
        "ruamel.yaml.clib is not installed, and every command of DVC takes twice as long"
    )
    assert typed(fast.load(Path(file))) == typed(slow.load(Path(file)))


def test_no_section_holds_a_constant():
    """What is no parameter is neither in a run's key nor in the digest of its code, which leaves config/ out."""
    sections = [Section]
    for section in sections:
        sections += section.__subclasses__()
    assert len(sections) > 15 and not [section for section in sections if section.__class_vars__]

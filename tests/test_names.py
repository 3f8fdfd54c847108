"""Names that a user gives in params.yaml become paths and commands: what is no name gets nowhere."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from modescope.config import load_params, merge, parse_params, profile_values
from modescope.config.profiles import use_profile
from modescope.errors import UserError
from modescope.stages import code

STANDARD = profile_values("standard")
DVC = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))
STAGES = {name: stage.get("do", stage) for name, stage in DVC["stages"].items()}
EVIL = "$(touch x)"


def named(name):
    """The standard parameters with `name` in every place where a user names something, by place."""
    return {
        "split.counts": {"split": {"counts": {name: STANDARD["split"]["counts"]["split1"]}}},
        "split.long_tailed": {"split": {"long_tailed": {name: 10.0}}},
        "classifiers": {"classifiers": {name: STANDARD["classifiers"]["rgb-judge"]}},
        "imbalance.splits": {"imbalance": {"splits": [name]}},
        "two_stage.split": {"two_stage": {"split": name}},
        "two_stage.stage1": {"two_stage": {"stage1": {**STANDARD["two_stage"]["stage1"], name: {}}}},
        "two_stage.rows": {"two_stage": {"rows": {name: {"from": "stage1"}}}},
        "two_stage.rows, from": {"two_stage": {"rows": {"row": {"from": name}}}},
        "cgan.losses": {"cgan": {"losses": [name]}},
        "cgan.recipes": {"cgan": {"recipes": {name: STANDARD["cgan"]["recipes"]["bce"]}}},
        "cgan.ours": {"cgan": {"ours": {name: {"loss": "bce"}}}},
        "stacked.losses": {"stacked": {"losses": [name]}},
        "seeds.splits": {"seeds": {"splits": [name]}},
        "seeds.rows": {"seeds": {"more": [], "rows": [name]}},
        "inside.cgan": {"inside": {"cgan": [name]}},
        "inside.imbalance": {"inside": {"imbalance": [name]}},
        "inside.two_stage": {"inside": {"two_stage": [name]}},
        "inside.explore.cgan": {"inside": {"explore": {"cgan": name}}},
        "imbalance.gan.loss": {"imbalance": {"gan": {"loss": name}}},
    }


@pytest.mark.parametrize("place", named(""))
@pytest.mark.parametrize(
    "name", ["../../../evil", "/abs", EVIL, "'; touch x; '", "-rf", "a b", "ü", "", ".hidden", "x\n", "a" * 65, "1st"]
)
def test_no_place_takes_what_is_no_name(place, name):
    with pytest.raises(UserError, match=re.escape(place.partition(",")[0])) as refusal:
        parse_params(merge(STANDARD, named(name)[place]), "params.yaml")
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    "folder", ["profiles/../evil/", "/profiles/a/", f"profiles/{EVIL}/", "profiles/a", "..", "profiles/a/\n", 7, None]
)
def test_results_go_into_a_profiles_folder_and_nowhere_else(folder):
    with pytest.raises(UserError, match="`?results"):
        parse_params({**STANDARD, "results": folder}, "params.yaml")


def test_every_number_and_page_lies_in_the_profiles_folder():
    """So that no profile overwrites another's: dvc.yaml names no metrics/ and reports/ but behind `results`."""
    text = re.sub(r"#.*", "", Path("dvc.yaml").read_text(encoding="utf-8"))
    assert text.count("${results}metrics/") > 20 and text.count("${results}reports/") > 10
    assert re.findall(r"(?<!\$\{results\})\b(?:metrics|reports)[/'].*", text) == []
    assert [profile_values(name)["results"] for name in ("standard", "demo", "paper")] == [
        "",
        "profiles/demo/",
        "profiles/paper/",
    ]


@pytest.mark.parametrize("name", ["a", "Row-1.5_b", "a" * 64])
def test_letters_digits_and_three_signs_are_a_name(name):
    assert name in parse_params(merge(STANDARD, named(name)["cgan.ours"]), "params.yaml").cgan.rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the profiles and a params.yaml that has an evil name."""
    shutil.copytree("profiles", tmp_path / "profiles")
    values = merge(STANDARD, named(EVIL)["cgan.ours"])
    for file in ("params.yaml", "profiles/evil.yaml"):
        (tmp_path / file).write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_modescope_use_refuses_a_profile_with_such_a_name_and_mends_a_params_file_with_one(folder):
    with pytest.raises(UserError, match="is no name"):
        use_profile("evil")
    use_profile("standard")
    assert load_params() == parse_params(STANDARD, "standard")


def test_the_stage_before_all_others_refuses_such_a_name(folder):
    package = Path(code.__file__).parents[1]
    with pytest.raises(UserError, match="is no name"):
        code.main(package, folder / "out")
    assert not (folder / "out").exists()


def test_that_stage_runs_again_when_a_name_changes():
    """All names that dvc.yaml writes into paths and commands are among its parameters."""
    declared = STAGES["code"]["params"]
    text = Path("dvc.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{((?!item|key|run)[^}]+)\}", text))
    assert len(used) > 8
    assert [name for name in used if not any(f"{name}.".startswith(f"{each}.") for each in declared)] == []
    assert all("data/code/" in str(stage["deps"]) for name, stage in STAGES.items() if name != "code")


@pytest.mark.parametrize("name", STAGES)
def test_what_dvc_writes_into_a_command_stands_in_quotes(name):
    words = STAGES[name]["cmd"].removeprefix("${run}").split()
    assert [word for word in words if "$" in word and not re.fullmatch(r"'[^']*'", word)] == []


@pytest.mark.parametrize("evil", [EVIL, "`touch x`", "; touch x", "$HOME", "a && touch x", "*", '"', "../../evil"])
def test_a_name_reaches_a_shell_as_it_is(tmp_path, evil):
    """DVC's own expansion of dvc.yaml, run by sh with `printf` in place of the stage."""
    values = merge(STANDARD, named(evil)["cgan.ours"])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    pipeline = {"vars": [{"run": r"printf '%s\n' "}], "stages": {"cgan-ours": DVC["stages"]["cgan-ours"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    Repo.init(tmp_path, no_scm=True).close()
    with Repo(tmp_path) as repo:
        (command,) = [stage.cmd for stage in repo.index.stages]
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert {f"data/settings/cgan/{evil}.json", f"models/cgan/{evil}"} <= set(done.stdout.splitlines())
    assert not (tmp_path / "x").exists()


def test_the_committed_lock_has_the_commands_of_dvc_yaml():
    """In quotes, too: a command that differs would train everything anew."""
    lock = yaml.load(Path("dvc.lock").read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
    assert lock
    for name, entry in lock.items():
        kind, _, key = name.partition("@")
        wanted, found = STAGES[kind]["cmd"].split(), entry["cmd"].removeprefix(DVC["vars"][0]["run"]).split()
        assert len(wanted) == len(found) and wanted[0].removeprefix("${run}") == found[0], name
        for word, value in zip(wanted[1:], found[1:], strict=True):
            assert word[0] == value[0] and shlex.split(value) == [value.strip("'")], (name, word, value)

"""`docs/extending.md`, every section followed word by word in a clone, and run with few steps."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.clones import DEMO, copy_of_the_repository, run
from benchmarks.pipeline import mermaid
from modescope.files import read_json
from modescope.runs.code import PACKAGE, TRAININGS, stage_code
from modescope.runs.folder import CURVES_FILE
from modescope.stages.code import stage_modules

TEXT = Path("docs/extending.md").read_text(encoding="utf-8")
GUIDE = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
BLOCK = re.compile(r"```(\w+)\n# ([^\n]+)\n(.*?)```", re.DOTALL)
CHANGES = {"imbalance.gan.loss": "softhinge", "prior": "axes", "network": "perceptron", "brightness_weight": 0.1}
TARGETS = (
    *("imbalance@gan-balanced", "stage2@a", "stage2@d-ff-2.0", "cgan-ours@cgan-wide", "cgan-ours@cgan-noise"),
    *("brightness", "report-means"),
)
FEW_STEPS = re.compile(r"\b((?:stage1_max_generator_|generator_|max_)steps|epochs): [0-9.]+")


def follow(section, clone):
    """Do what a section of the guide says."""
    for language, names, content in BLOCK.findall(GUIDE[section]):
        for file in (clone / name for name in names.split(", ")):
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            if language == "diff":
                file.write_text(changed(before, content), encoding="utf-8")
                continue
            assert bool(before) == (file.suffix == ".yaml"), "a module of the guide is new"
            stages, mark, rest = before.partition("\nmetrics:")  # of dvc.yaml
            file.write_text(f"{stages}\n{content}{mark}{rest}" if before else content, encoding="utf-8")


def changed(text, difference):
    """A text after the hunks of a diff, each of which has one place in it."""
    for hunk in difference.split("@@\n"):
        old, new = ("".join(line[1:] for line in hunk.splitlines(True) if line[0] != left) for left in "+-")
        assert f"\n{text}".count(f"\n{old}") == 1, f"not one place of:\n{old}"
        text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
    return text


def codes(clone):
    """What every stage's code does, by the name of its file in data/code/."""
    package = clone / "src" / PACKAGE
    return {
        f"{stage}-{model}" if model else stage: stage_code(module, model, package)
        for stage in stage_modules(package)
        for module in [f"{PACKAGE}.stages.{stage}"]
        for model in TRAININGS.get(module, [None])
    }


@pytest.fixture(scope="module")
def guided(tmp_path_factory):
    """A clone of the demo, of few steps, in which all sections were followed, and the stages that each repeats."""
    clone = copy_of_the_repository(tmp_path_factory.mktemp("guides") / "clone")
    profile = clone / "profiles/demo.yaml"
    profile.write_text(FEW_STEPS.sub(r"\1: 4", profile.read_text()))
    run("modescope use demo", clone)
    repeated, before = {}, codes(clone)
    for section in GUIDE:
        follow(section, clone)
        after = codes(clone)
        repeated[section], before = {name for name, code in after.items() if before.get(name) != code}, after
    return clone, repeated


@pytest.fixture(scope="module")
def clone(guided):
    """The same, and everything has run."""
    changes = " ".join(f"-S {name}={value}" for name, value in CHANGES.items())
    run(f"dvc exp run {changes} {' '.join(TARGETS)}", guided[0])
    return guided[0]


def params(run_folder):
    """What a run was made with."""
    return read_json(run_folder / "run.json")["params"]


@pytest.mark.parametrize("section", GUIDE)
def test_a_section_names_the_stages_whose_code_it_changes(guided, section):
    said = re.search(r"^\*Code of\*: ([^;:.]*)", GUIDE[section], re.MULTILINE)[1]
    assert set(re.findall(r"`([^`]+)`", said)) == guided[1][section]


def test_a_loss(clone):
    assert params(clone / "models/imbalance/gan-balanced")["imbalance"]["gan"]["loss"] == "softhinge"
    run("pytest -q tests/training/test_losses.py tests/training/test_cuda_graph.py -k 'softhinge or refused'", clone)


def test_a_data_set(clone):
    printed, _ = run("dvc exp run -S datasets.grey=stripes download@grey", clone)
    assert "grey/train: 1,000 images of stripes (source: computed)" in printed and "scaled by 255/254" in printed


def test_a_prior_and_a_network(clone):
    used = params(clone / "models/two-stage/stage1")
    assert (used["prior"], used["network"]) == ("axes", "perceptron")
    texts = yaml.safe_load((clone / "src/modescope/studies/two_stage/texts.yaml").read_text(encoding="utf-8"))
    assert texts["prior_axes"]["caption"].startswith("axes: ")
    run("modescope sample stage1 --grid --out stage1.png", clone)
    assert (clone / "stage1.png").exists()


def test_a_term_of_the_generators_loss(clone):
    heads = (clone / "models/two-stage/stage2-a" / CURVES_FILE).read_text().splitlines()[0].split(",")
    assert {"train/g_class", "train/g_brightness", "train/g_brightness_gradient"} <= set(heads)


def test_rows_and_a_cure(clone):
    assert params(clone / "models/two-stage/stage2-d-ff-2.0")["ce_loss_weight"] == 2.0
    assert params(clone / "models/cgan/cgan-wide")["n_critic"] == 3
    assert params(clone / "models/cgan/cgan-noise")["instance_noise"] == 0.1


def test_a_stage(clone):
    assert 0 < read_json(clone / DEMO / "metrics/brightness.json")["brightness"] < 255


def test_a_metric(clone):
    run("pytest -q tests/evaluation/test_evaluate.py", clone)
    texts = yaml.safe_load((clone / "src/modescope/studies/imbalance/texts.yaml").read_text(encoding="utf-8"))
    titles = yaml.safe_load((clone / "src/modescope/report/columns.yaml").read_text(encoding="utf-8"))
    assert "feature_spread" in texts["gan"]["columns"] and titles["feature_spread"]["title"] == "spread ↑"


def test_a_study_with_a_page_and_runs(clone):
    page = (clone / DEMO / "reports/means/index.html").read_text(encoding="utf-8")
    assert "Class means as classifiers" in page and '<a id="few"></a>' in page and '<a id="many"></a>' in page
    finding = re.search(r"many ([0-9.]+)%, few ([0-9.]+)%", (clone / DEMO / "reports/means/findings.json").read_text())
    assert float(finding[1]) > float(finding[2]) > 10
    listed = "from modescope.mlflow.filing import read_final; from modescope.files import read_json; "
    listed += "key = read_json('models/means/many/run.json')['key']; print(read_final('means', [key])[key]['accuracy'])"
    accuracy, _ = run(f'python -c "{listed}"', clone)
    assert f"{100 * float(accuracy.splitlines()[-1]):.1f}" == finding[1]


def test_the_pipeline_is_drawn_as_it_is():
    assert f"```mermaid\n{mermaid()}\n```" in Path("docs/design.md").read_text(encoding="utf-8")

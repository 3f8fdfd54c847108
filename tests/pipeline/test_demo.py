"""The whole demo in a fresh clone, as a user runs it: offline, and twice."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from benchmarks.clones import DEMO, commit, run, slowness
from modescope.evaluation.calibration import predict
from modescope.evaluation.loaders import load_sampler
from modescope.models.classifiers import load_judge

SERIAL = 775  # seconds of the demo by `dvc repro`: docs/scaling.md


def metrics(folder, study):
    return {
        path.stem: json.loads(path.read_text()) for path in sorted((folder / DEMO / "metrics" / study).glob("*.json"))
    }


def on_a_terminal(command, folder):
    """Run a command on a terminal; the lines that stay there, blank ones left out, and the seconds it took."""
    terminal = "python -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'"
    printed, seconds = run(f"{terminal} {command}", folder)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", printed).replace("\r\n", "\n")
    lines = [line.rstrip().rpartition("\r")[2].strip() for line in plain.split("\n")]
    return [line for line in lines if line], seconds


def test_the_demo_is_quick_and_names_its_page(demo):
    folder, _, printed, seconds = demo
    assert seconds is None or f"{DEMO}/reports/index.html" in printed
    assert seconds is None or seconds < 600 * slowness()  # about six minutes on two free cores
    for name in (
        "index.html",
        "imbalance/index.html",
        "two-stage/index.html",
        "cgan/index.html",
        "classifiers/index.html",
    ):
        page = (folder / DEMO / "reports" / name).read_text()
        assert "digits" in page and "http://" not in page.replace("http://www.w3.org", "")
    assert "<img" in (folder / DEMO / "reports" / "two-stage" / "index.html").read_text()


def test_the_committed_results_are_as_they_were(demo):
    changed, _ = run("git status --porcelain", demo.template)
    assert [line for line in changed.splitlines() if re.match(r".. (metrics|reports|data|models)/", line)] == []


def test_the_demo_measures_every_row(demo):
    found = metrics(demo.folder, "imbalance")
    rows = {
        name: found[name]
        for model in ("real", "gan", "vae", "vae-gmm")
        for split in ("balanced", "split4")
        for name in [f"{model}-{split}"]
    }
    for name, row in rows.items():
        assert row["num_samples"] <= 500 and sum(row["class_share"]) == pytest.approx(1)
        if not name.startswith("real-"):
            floor = rows[f"real-{name.rpartition('-')[2]}"]
            assert row["fid_classifier"] > floor["fid_classifier"]
    rows = metrics(demo.folder, "two-stage")
    rows = {
        name: rows[name] for name in ("stage1", "stage2-a", "stage2-b-ff", "stage2-c-conv", "stage2-d-ff", "hybrid")
    }
    assert all(("class_consistency" in row) == (name != "hybrid") for name, row in rows.items())
    assert all(0 < rows["hybrid"][f"mmd_p_{moment}"] <= 1 for moment in ("untrained", "vae", "joint"))
    rows = metrics(demo.folder, "cgan")
    labelled = ("cgan-wgan-gp", "cgan-ours", "real-digits")
    assert all(("class_consistency" in rows[name]) == (name in labelled) for name in (*labelled, "dcgan-wgan-gp"))
    assert rows["real-digits"]["fid_classifier"] < min(rows[name]["fid_classifier"] for name in labelled[:-1])
    assert rows["stacked-real"]["kl_to_uniform"] < rows["stacked-wgan-gp"]["kl_to_uniform"]
    judges = metrics(demo.folder, "classifiers")
    assert min(row["accuracy"] for row in judges.values()) > 0.85


def test_again_runs_nothing(demo):
    folder = demo.folder
    printed, seconds = run("dvc repro", folder)
    assert "Running stage" not in printed and "up to date" in printed
    assert seconds < 6 * slowness()
    before = (folder / "dvc.lock").read_text()
    run("dvc status --quiet", folder)
    assert (folder / "dvc.lock").read_text() == before


def test_a_device_or_a_store_is_no_parameter(demo):
    run("dvc status --quiet", demo.folder, MODESCOPE_DEVICE="cpu", MLFLOW_TRACKING_URI="sqlite:///other.db")


def test_a_changed_class_weight_runs_stage_2_alone(demo):
    """`dvc exp run -S ce_loss_weight=1.0`: stage 2, what is measured of it and the report, in at most 40 % of the time
    that `dvc repro` takes for the whole demo. From the end of the last training on it prints 15 lines, DVC's
    own among them, with scores before and after.
    """
    folder = demo.folder
    commit(folder, "demo")
    lines, seconds = on_a_terminal("dvc exp run -S ce_loss_weight=1.0", folder)
    run("git reset -q --hard && dvc checkout -q", folder)
    ran = {line.split("'")[1] for line in lines if line.startswith("Running stage")}
    rows = ("a", "b-ff", "c-conv", "d-ff")
    assert ran == {
        "settings",
        *(f"{stage}@{row}" for stage in ("stage2", "evaluate-stage2") for row in rows),
        "inside-two-stage@stage2-a",
        "report-two-stage",
        "overview",
    }
    assert seconds <= 0.4 * SERIAL * slowness()
    last = max(place for place, line in enumerate(lines) if line.startswith("Running stage 'stage2@"))
    after = lines[lines.index("Updating lock file 'dvc.lock'", last) + 1 :]
    assert len(after) <= 15 and any(" → " in line for line in after), after
    assert any(line.startswith("modescope compare ") for line in after), after


def test_labels_decide_what_our_row_draws(demo):
    """By the judge; with the labels shuffled, agreement drops to chance."""
    folder = demo.folder
    drawn = load_sampler(folder / "models" / "cgan" / "cgan-ours").sample(1000, seed=3)
    judged = predict(load_judge(folder / "models" / "classifiers" / "grey-judge", "cpu"), drawn.images).argmax(1)
    shuffled = drawn.labels[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    assert (judged == drawn.labels).double().mean() > 0.9
    assert 0.05 < (judged == shuffled).double().mean() < 0.15


def test_an_unpacked_archive_without_git_runs_too(demo, tmp_path):
    archive = tmp_path / "archive"
    shutil.copytree(demo.template, archive, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    run("dvc config --local core.no_scm true", archive)
    printed, _ = run("dvc repro", archive)
    assert "up to date" in printed


def test_bad_input_through_the_whole_pipeline(demo):
    folder = demo.folder
    printed, _ = run("modescope use fast", folder, expect=2)
    assert printed.strip().splitlines() == ["modescope: unknown profile `fast`: there are demo, paper, standard"]
    printed, _ = run("modescope sample gan-split9 -n 4 --out x.npz", folder, expect=2)
    assert "gan-split9" in printed and "gan-split4" in printed and len(printed.strip().splitlines()) == 1
    assert not (folder / "x.npz").exists()


def test_samples_for_somebody_elses_evaluator(demo, tmp_path):
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for file in files:
        run(f"modescope sample gan-split4 -n 32 --seed 7 --out {file}", demo.folder)
    first, second = (np.load(file)["images"] for file in files)
    assert first.shape == (32, 3, 32, 32) and first.dtype == np.uint8 and (first == second).all()

"""Studies 1b and 2: their tables."""

from pathlib import Path

import pytest
import yaml

from made_up import CLASSES, REPOSITORY, build_project
from modescope.config import merge, parse_params
from modescope.errors import UserError
from modescope.report.results import REPORTED, Folders
from modescope.studies import two_stage
from modescope.studies.two_stage import tables
from modescope.studies.two_stage.rows import TABLE_5, TwoStageRows

LINES = yaml.safe_load(REPORTED.read_text())["two_stage"]


def by_row(table):
    return {row.get("row"): row for row in table.rows}


def profile(name):
    standard, changes = (
        yaml.safe_load((REPOSITORY / "profiles" / f"{part}.yaml").read_text()) for part in ("standard", name)
    )
    return parse_params(merge(standard, changes), name)


@pytest.mark.parametrize("name", ["standard", "paper"])
def test_every_line_of_table_5_is_a_row_of_the_same_settings(name):
    params = profile(name)
    rows = {row.name: row for row in TwoStageRows(params, Folders(Path(), Path(), Path())).rows}
    assert len(TABLE_5) == len(LINES) == 18
    for ours, line in zip(TABLE_5[1:], LINES[1:], strict=True):
        settings, extra = rows[ours].stage2, line["extra"] or ""
        assert settings.architecture == line["arch"]
        assert settings.ce_loss_weight == (line["lambda"] if line["lambda"] is not None else 0.5)
        assert settings.n_gen == (line["n"] if line["n"] is not None else 20)
        assert settings.add_stage2_ff == ("FF" in extra) and settings.add_stage2_conv == ("Conv" in extra)
        assert settings.add_stage2_input == ("I+" in extra)
        assert (settings.batch_size == 256) == ("batch 256" in extra)
        assert (settings.seed != 42) == ("second" in extra or ours == "c-conv256")
    assert rows["stage1"].stage2 is None and LINES[0]["extra"] == "stage 1 only"


def test_scores_hold_every_row_beside_its_reported_line(results):
    table = tables.scores(results)
    names = [row.get("row") for row in table.rows]
    first = list(results.params.two_stage.stage1)
    assert names[: len(first)] == first and names[-1] is None
    assert set(names[len(first) : -1]) == set(results.params.two_stage.rows)
    groups = [row["group"] for row in table.rows]
    stage2 = ["A"] * 12 + ["B"] * 6 + ["C"] * 6 + ["D"] * 14
    assert groups == ["stage 1"] * len(first) + stage2 + ["real images (floor)"]
    assert table.quiet == {*range(len(first)), len(names) - 1}
    reported = {row["row"]: row["fid_reported"] for row in table.rows if "fid_reported" in row}
    assert reported == {ours: line["fid"] for ours, line in zip(TABLE_5, LINES, strict=True)}
    assert "reported scores" in table.caption.lower()


def test_the_summary_has_the_best_rows(project):
    project.change("stage2-d-input-1.0-orthogonal", "two-stage", class_consistency=0.9)
    project.change("stage2-a-0.5-n1-close", "two-stage", class_consistency=0.8)
    rows = by_row(tables.summary(project.read("two-stage")))
    assert {
        "stage1",
        "stage1-orthogonal",
        "a-0.5-n20",
        "b-ff-0.5",
        "c-conv-0.5",
        "d-ff-0.5",
        "d-input-1.0-orthogonal",
        "stage1-close",
        "a-0.5-n1-close",
        "a-control-n1-close",
    } <= set(rows)
    assert rows["d-input-1.0-orthogonal"]["class_consistency"] == 0.9
    assert "class_consistency" not in rows["stage1-normal"]


def test_scores_print_settings_and_measurements(results):
    rows = by_row(tables.scores(results))
    row, values = rows["d-ff-0.5-random"], results.runs["stage2-d-ff-0.5-random"].values
    assert {name: row[name] for name in ("weight", "n_gen", "layers", "prior", "batch_size", "seed")} == {
        "weight": 0.5,
        "n_gen": 20,
        "layers": "input + FF 128, random start",
        "prior": "diagonal",
        "batch_size": 128,
        "seed": 42,
    }
    assert rows["a-0.5-n20"]["layers"] == "generator" and rows["d-conv-0.5"]["layers"] == "input + conv 8"
    assert rows["stage1-sphere"]["prior"] == "sphere" and "weight" not in rows["stage1-sphere"]
    for metric in ("class_consistency", "class_share_tv", "recall", "fid_classifier"):
        assert row[metric] == values[metric]
    assert rows[None]["class_consistency"] == results.runs["rgb-judge"].values["accuracy"]
    assert "class_consistency" not in rows["stage1-normal"]
    assert "gradient_ratio" not in rows["a-control"] and row["gradient_ratio"] > 0 and -1 <= row["gradient_cosine"] <= 1


def test_other_settings_lose_their_reported_line(project):
    row = project.params.two_stage.rows["d-ff-0.5"]
    project.change_params(
        {"two_stage": {"rows": {**project.params.two_stage.rows, "d-ff-0.5": row | {"ce_loss_weight": 0.7}}}}
    )
    rows = by_row(tables.scores(project.read("two-stage")))
    assert "fid_reported" not in rows["d-ff-0.5"] and "fid_reported" in rows["d-ff-0.1"]


def test_reported_values_stand_only_beside_the_same_data(tmp_path):
    table = tables.scores(build_project(tmp_path, splits=("balanced",), data="digits-rgb").read("two-stage"))
    assert not any(column.key.endswith("_reported") for column in table.columns)


def test_two_extractors_never_share_a_column(tmp_path):
    results = build_project(tmp_path, splits=("balanced",), extractors=("judge", "inception")).read("two-stage")
    for table in (tables.scores(results), tables.priors(results), tables.hybrid(results)):
        groups = {column.key: column.group for column in table.columns}
        assert groups["fid_classifier"] == "judge" and groups["fid"] == "Inception"


def test_captions_name_guide_judge_and_budget(results):
    line = tables.scores(results).caption_line
    for fact in (
        "rgb-judge (resnet",
        "rgb-guide (airbench96",
        "the training images (50,000 images)",
        "ngf 32",
        "8,000 generator steps",
        "evaluation 1234",
    ):
        assert fact in line


def test_class_consistency_by_class(results):
    table = tables.class_consistency(results)
    rows = by_row(table)
    assert "stage1-normal" not in rows and len(rows) == len(results.rows)
    values = results.runs["stage2-b-ff-1.0"].values
    assert [rows["b-ff-1.0"][name] for name in ("all", *CLASSES)] == [
        values["class_consistency"],
        *values["class_consistency_per_class"],
    ]
    assert "chance: 10 %" in table.caption


def test_priors_compare_rows_of_equal_settings(results):
    table = tables.priors(results)
    assert [(row["prior"], row["row"]) for row in table.rows] == [
        ("diagonal", "stage1"),
        ("diagonal", "d-ff-0.5"),
        ("sphere", "stage1-sphere"),
        ("sphere", "d-ff-0.5-sphere"),
        ("orthogonal", "stage1-orthogonal"),
        ("orthogonal", "d-ff-0.5-orthogonal"),
        ("close", "stage1-close"),
        ("normal", "stage1-normal"),
    ]
    assert "|z| is near 80;" in table.caption and "saturates" not in table.caption


def test_hybrid_table_has_three_moments_and_the_plain_gan(results):
    rows = {row["of"]: row for row in tables.hybrid(results).rows}
    assert list(rows) == [
        "codes, untrained",
        "codes, VAE trained alone",
        "codes, trained jointly",
        "images, hybrid",
        "images, GAN (study 1)",
        "real images (floor)",
    ]
    assert rows["codes, trained jointly"]["mmd_p"] == results.runs["hybrid"].values["mmd_p_joint"]
    assert rows["images, GAN (study 1)"]["fid_classifier"] == results.runs["gan-balanced"].values["fid_classifier"]


def test_hybrid_table_without_a_plain_gan(tmp_path):
    results = build_project(tmp_path, splits=("balanced",), evaluated=("vae",)).read("two-stage")
    assert "images, GAN (study 1)" not in {row["of"] for row in tables.hybrid(results).rows}


def test_timings_tell_what_was_trained_and_how_far_the_start_moved(results):
    table = tables.timings(results)
    rows = {row["run"]: row for row in table.rows}
    assert len(rows) == len(results.rows) + 1
    assert rows["stage2-b-ff-0.5"]["start_mse"] == 0.012 and rows["stage2-b-ff-0.5"]["adapter_parameters"] == 806000
    assert rows["stage2-a-0.5-n20"]["start_mse"] is None


def test_representatives_have_the_top_levels_settings(results):
    assert {group: row.name for group, row in results.representatives.items()} == {
        "stage 1": "stage1",
        "A": "a-0.5-n20",
        "B": "b-ff-0.5",
        "C": "c-conv-0.5",
        "D": "d-ff-0.5",
    }


def test_without_the_balanced_split_there_is_no_floor(tmp_path):
    project = build_project(tmp_path, splits=("split1",))
    with pytest.raises(UserError, match="real-balanced .* add `balanced` to imbalance.splits"):
        project.read("two-stage")


def test_a_small_profile_fills_every_table(tmp_path):
    results = build_project(tmp_path, splits=("balanced",), data="digits-rgb", profile="demo").read("two-stage")
    assert [row.name for row in results.stage2_rows] == ["a", "b-ff", "c-conv", "d-ff"]
    section = two_stage.STUDY.section(results)
    assert [item.name for item in section.content] == [
        *(
            "two_stage_summary",
            "consistency_fid",
            "two_stage",
            "dcgan",
            "architectures",
            "figure11",
            "adapter_starts",
            "confusion",
            "class_consistency",
        ),
        *("gradients", "priors", "hybrid"),
        *("inside", "inside_lost", "inside_coverage", "inside_clusters", "failures_stage1", "between_stage1"),
        *("inside_paths", "inside_strips", "curves_two_stage", "runs_two_stage"),
    ]
    assert [row["row"] for row in tables.priors(results).rows] == ["stage1", "d-ff"]

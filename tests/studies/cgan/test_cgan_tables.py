"""Study 3: its tables, and what its page holds where a profile has less."""

import pytest
import yaml

from made_up import OURS, build_project, rewrite
from modescope.report import figures, vector
from modescope.report.results import REPORTED
from modescope.studies import cgan
from modescope.studies.cgan import page, tables

PRINTED = yaml.safe_load(REPORTED.read_text())["cgan"]
LOSSES = ["bce", "lsgan", "hinge", "wgan-gp"]
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures without pixels."""
    monkeypatch.setattr(figures, "render", lambda *drawing: b"")
    monkeypatch.setattr(vector, "to_svg", lambda *drawing: "")
    monkeypatch.setattr(figures, "image_sheet", lambda *sheet, **more: b"")


def by(table, key):
    return {row.get(key): row for row in table.rows}


def reduced(project, **changes):
    project.change_params({"cgan": changes})
    return project.read("cgan")


def test_every_published_row_has_a_reported_line(results):
    assert set(PRINTED["pixel_std"]) == set(PRINTED["cgan"]) == set(PRINTED["dcgan"]) == set(LOSSES)
    assert all(len(values) == 10 for values in PRINTED["pixel_std"].values())
    table = tables.scores(results)
    told = {row["row"]: row["fid_reported"] for row in table.rows if "fid_reported" in row}
    assert told == {f"{mode}-{loss}": PRINTED[mode][loss]["fid"] for mode in ("cgan", "dcgan") for loss in LOSSES}


def test_scores_hold_every_row_and_the_floor(results):
    table = tables.scores(results)
    names = [row.get("row") for row in table.rows]
    assert names == [
        *(f"{mode}-{loss}" for mode in ("cgan", "dcgan") for loss in LOSSES),
        *OURS,
        None,
    ] and table.quiet == {len(names) - 1}
    rows = by(table, "row")
    row, values = rows["cgan-wgan-gp"], results.runs["cgan-wgan-gp"].values
    for metric in (
        "fid_classifier",
        "kid_classifier_mean",
        "kid_classifier_std",
        "class_consistency",
        "recall",
        "coverage",
        "seconds",
    ):
        assert row[metric] == values[metric]
    assert row["images_per_second"] == 12.0 * results.params.cgan.training.batch_size
    assert (row["kid_mean_reported"], row["kid_std_reported"], row["seconds_reported"]) == (0.0028, 0.0015, 1856.6)
    assert row["class_consistency_reported"] == pytest.approx(0.989)
    assert "class_consistency" not in rows["dcgan-bce"] and "kid_mean_reported" not in rows["dcgan-bce"]
    assert (rows["cgan-ours"]["mode"], rows["cgan-ours"]["loss"]) == ("cgan", "hinge") and "fid_reported" not in rows[
        "cgan-ours"
    ]
    assert (
        rows[None]["class_consistency"] == results.runs["real-digits"].values["class_consistency"]
        and "seconds" not in rows[None]
    )
    assert "Reported scores are report 2's" in table.caption


def test_a_batch_of_another_size_counts_in_images_per_second(project):
    results = reduced(project, ours={"cgan-ours": OURS["cgan-ours"] | {"batch_size": 50}})
    assert by(tables.scores(results), "row")["cgan-ours"]["images_per_second"] == 600


def test_reported_values_stand_only_beside_the_same_data(tmp_path):
    results = build_project(tmp_path, splits=("split1",), data="digits-rgb").read("cgan")
    for table in (tables.scores(results), tables.pixel_std(results)):
        assert (
            not any(column.key.endswith("_reported") for column in table.columns) and "report 2's:" not in table.caption
        )


@pytest.mark.parametrize("extractors", [("judge",), ("judge", "inception")])
def test_two_extractors_never_share_a_column(tmp_path, extractors):
    results = build_project(tmp_path, splits=("split1",), extractors=extractors).read("cgan")
    for table in (tables.scores(results), tables.ours(results)):
        groups = {column.key: column.group for column in table.columns}
        assert groups["fid_classifier"] == "judge" and groups.get("fid") == (
            "Inception" if "inception" in extractors else None
        )
        assert groups.get("fid_reported", "reported (Inception)") == "reported (Inception)"


def test_captions_name_judge_reference_and_budget(results):
    line = tables.scores(results).caption_line
    for fact in (
        "data: mnist",
        "grey-judge (digit-cnn",
        "10,000 per model",
        "the training images",
        "training 42, evaluation 1234",
        "budget: 6,000 to 8,000 generator steps",
    ):
        assert fact in line


def test_warnings_of_the_evaluation_stand_under_the_table(project):
    rewrite(project.folders.metrics_file("cgan", "dcgan-bce"), warnings=["fid: too few images"])
    assert tables.scores(project.read("cgan")).notes == ["Warning (dcgan-bce): fid: too few images."]


def test_the_summary_has_a_line_per_loss_our_best_row_and_the_floor(project):
    project.change("cgan-ours-no-ema", "cgan", class_consistency=0.97)
    project.change("cgan-bce", "cgan", seconds=77.0)
    results = project.read("cgan")
    table = tables.summary(results)
    rows = by(table, "row")
    assert list(rows) == [*LOSSES, "cgan-ours-no-ema (hinge)", "real images (floor)"] and table.quiet == {5}
    assert results.best.name == "cgan-ours-no-ema" and rows["cgan-ours-no-ema (hinge)"]["class_consistency"] == 0.97
    for loss in LOSSES:
        for mode in ("cgan", "dcgan"):
            assert rows[loss][f"fid/{mode}"] == results.runs[f"{mode}-{loss}"].values["fid_classifier"]
    assert (
        rows["bce"]["seconds"] == 77.0
        and rows["bce"]["class_consistency"] == results.runs["cgan-bce"].values["class_consistency"]
    )
    assert rows["real images (floor)"]["fid/cgan"] == rows["real images (floor)"]["fid/dcgan"]


def test_class_consistency_by_digit_and_fixed_z(project):
    project.change("cgan-bce", "cgan", fixed_z_classes=[10, 10, 9, 8, 10, 7, 6, 4])
    results = project.read("cgan")
    table = tables.class_consistency(results)
    rows, values = by(table, "row"), results.runs["cgan-bce"].values
    assert list(rows) == [*(f"cgan-{loss}" for loss in LOSSES), *OURS, "real images (floor)"]
    assert [rows["cgan-bce"][name] for name in ("all", *DIGITS)] == [
        values["class_consistency"],
        *values["class_consistency_per_class"],
    ]
    assert (rows["cgan-bce"]["fixed_z_mean"], rows["cgan-bce"]["fixed_z_all"]) == (8.0, 3)
    assert "over 8 z" in table.caption and "fixed_z_mean" not in rows["real images (floor)"]


def test_pixel_std_stands_beside_table_8_1(results):
    table = tables.pixel_std(results)
    rows, label = by(table, "digit"), results.best.label
    assert list(rows) == [*DIGITS, "mean"]
    assert [column.key for column in table.columns] == [
        "digit",
        *LOSSES,
        label,
        "real images",
        *(f"{loss}_reported" for loss in LOSSES),
    ]
    assert (
        rows["5"]["wgan-gp_reported"] == 0.581
        and rows["1"]["hinge"] == results.runs["cgan-hinge"].values["pixel_std"][1]
    )
    assert rows["7"]["real images"] == results.runs["real-digits"].values["pixel_std"][7]
    assert rows["mean"]["bce_reported"] == pytest.approx(sum(PRINTED["pixel_std"]["bce"]) / 10)


def test_diversity_holds_what_pixel_std_does_not_tell(results):
    table = tables.diversity(results)
    rows = {(row["measure"], row["row"]): row for row in table.rows}
    assert [measure for measure, _ in rows] == ["MS-SSIM ↓"] * 6 + ["recall ↑"] * 6 + ["coverage ↑"] * 6
    values = results.runs["cgan-lsgan"].values["recall_per_class"]
    row = rows["recall ↑", "lsgan"]
    assert [row[digit] for digit in DIGITS] == values and row["all"] == pytest.approx(sum(values) / 10)
    assert rows["MS-SSIM ↓", "real images (floor)"]["3"] == results.runs["real-digits"].values["ms_ssim"][3]
    assert table.quiet == {5, 11, 17}


def test_our_rows_stand_under_their_losses_published_row(results):
    table = tables.ours(results)
    rows = by(table, "row")
    assert list(rows) == ["cgan-hinge", "cgan-ours", "cgan-ours-no-ema"] and table.quiet == {0}
    assert rows["cgan-hinge"]["changes"] is None
    assert rows["cgan-ours"]["changes"] == "discriminator_labels projection, ema_decay 0.999"
    assert rows["cgan-ours-no-ema"]["changes"] == "discriminator_labels projection"
    for name in rows:
        assert rows[name]["recall"] == results.runs[name].values["recall"]
        assert rows[name]["fixed_z_all"] == results.runs[name].values["fixed_z_classes"].count(10)


def test_the_initialisation_of_report_2s_text_is_a_row_of_ours(project):
    text = {"cgan-bce-text": {"loss": "bce", "initialization": "text"}}
    folder = project.folders.models / "cgan" / "cgan-bce-text"
    project.add_run("cgan", "cgan-bce-text", folder, dict(project.read("cgan").runs["cgan-bce"].values), "mnist")
    rows = by(tables.ours(reduced(project, ours=OURS | text)), "row")
    assert rows["cgan-bce-text"]["changes"] == "initialization text" and rows["cgan-bce"]["changes"] is None
    assert list(rows).index("cgan-bce") < list(rows).index("cgan-bce-text")


def test_our_rows_of_an_unpublished_loss_stand_alone(project):
    assert list(by(tables.ours(reduced(project, losses=["bce"])), "row")) == list(OURS)


def test_stacked_digits_count_modes(project):
    project.change("stacked-hinge", "cgan", modes_covered=512, modes_enough=300, kl_to_uniform=2.25)
    table = tables.stacked(project.read("cgan"))
    rows = by(table, "loss")
    assert list(rows) == [*project.params.stacked.losses, "real images (floor)"]
    assert table.cells[list(rows).index("hinge")] == ["hinge", "26,000", "512", "300", "2.250", "100", "12.0"]
    assert "seconds" not in rows["real images (floor)"]
    steps = project.params.stacked_config("bce").generator_steps
    assert (
        f"budget: {steps:,} generator steps on 128,000 images" in table.caption_line
        and "grey-judge" in table.caption_line
    )


def test_timings_hold_every_training(results):
    assert {row["run"] for row in tables.timings(results).rows} == {
        *results.params.cgan.rows,
        *(f"stacked-{loss}" for loss in results.params.stacked.losses),
    }


INSIDE = [
    *("inside", "inside_lost", "inside_coverage", "inside_clusters"),
    *(f"{kind}_{run}" for run in ("cgan-ours", "cgan-bce") for kind in ("failures", "between")),
    *("inside_paths", "inside_strips"),
]
FIRST, LAST = ["cgan_summary", "cgan"], ["stacked", "stacked_samples", *INSIDE, "curves_cgan", "runs_cgan"]
WITH_LABELS = ["samples_cgan", "cgan_consistency", "fixed_z", "cgan_pixel_std", "cgan_diversity", "per_class"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, [*FIRST, "figure7_1", "figure7_2", *WITH_LABELS, "samples_dcgan", "cgan_ours", *LAST]),
        ({"modes": ["cgan"], "losses": ["bce", "hinge"]}, [*FIRST, "figure7_1", *WITH_LABELS, "cgan_ours", *LAST]),
        ({"modes": ["cgan"], "losses": ["wgan-gp"], "ours": {}}, [*FIRST, "figure7_1", *WITH_LABELS, *LAST]),
        ({"modes": ["dcgan"]}, [*FIRST, "figure7_1", *WITH_LABELS, "samples_dcgan", "cgan_ours", *LAST]),
        ({"modes": ["dcgan"], "ours": {}}, [*FIRST, "samples_dcgan", *LAST]),
        (
            {"ours": {"plain": {"mode": "dcgan", "loss": "hinge", "ema_decay": 0.99}}},
            [*FIRST, "figure7_1", "figure7_2", *WITH_LABELS, "samples_dcgan", "cgan_ours", *LAST],
        ),
    ],
)
def test_the_section_holds_only_what_the_profile_has(project, undrawn, changes, names):
    if "plain" in changes.get("ours", ()):
        folder = project.folders.models / "cgan" / "plain"
        project.add_run("cgan", "plain", folder, dict(project.read("cgan").runs["dcgan-hinge"].values), "mnist")
    section = cgan.STUDY.section(reduced(project, **changes))
    assert [item.name for item in section.content] == names
    assert section.findings and section.note == page.note(project.read("cgan"))


def test_the_note_states_both_budgets(project):
    note = page.note(reduced(project, training={"generator_steps": 1234}))
    assert "It trains 30,010 generator steps; the rows here, with widths as their tables say, 1,234 to 6,000." in note
    assert "never stand in one column" in note and "a single sharp image" in note


def test_a_small_profile_fills_the_page(tmp_path):
    results = build_project(tmp_path, splits=("balanced",), data="digits-rgb", profile="demo").read("cgan")
    names = [item.name for item in cgan.STUDY.section(results).content]
    assert len(set(names)) == len(names) and {*FIRST, *LAST} - {*INSIDE} <= set(names)


def test_rows_are_told_apart(results):
    params = results.params
    assert [row.name for row in results.rows] == list(params.cgan.rows)
    assert [row.label for row in results.published("dcgan")] == LOSSES
    assert [row.label for row in results.labelled] == [*LOSSES, *OURS]
    assert [row.label for row in results.shown] == [*LOSSES, results.best.name]

"""Tables: printing, and what study 1 puts into them."""

import csv
import io
from dataclasses import replace

import pytest

from made_up import build_project, rewrite
from modescope.errors import UserError
from modescope.report.tables import Column, Table, to_csv, to_markdown
from modescope.studies import classifiers
from modescope.studies.imbalance import tables

SMALL = Table(
    name="small",
    title="Small",
    columns=(
        Column("name", "name"),
        Column("count", "n"),
        Column("mean", "IS", "judge", digits=1, spread="std"),
        Column("share", "share, %", digits=1, scale=100),
    ),
    rows=(
        {"name": "a|b", "count": 12345, "mean": 2.0, "std": 0.25, "share": 0.1234567},
        {"name": "a|b", "share": None},
        {"name": "c", "quiet": True},
    ),
    caption="A caption.",
    facts={"data": "cifar10", "test set": "none"},
    notes=("Few images.",),
)


def test_markdown_holds_title_table_caption_and_notes():
    assert to_markdown(SMALL).splitlines() == [
        "**Small**",
        "",
        "| name | n | IS, judge | share, % |",
        "| :-- | --: | --: | --: |",
        "| a\\|b | 12,345 | 2.0 ± 0.2 | 12.3 |",
        "| a\\|b | – | – | – |",
        "| *c* | *–* | *–* | *–* |",
        "",
        "A caption. data: cifar10; test set: none.",
        "",
        "> Few images.",
    ]


def test_markdown_can_leave_groups_out():
    assert "| name | n | IS | share, % |" in to_markdown(replace(SMALL, spell_groups=False))


def test_csv_holds_unscaled_values_spreads_and_facts():
    rows = list(csv.DictReader(io.StringIO(to_csv(SMALL))))
    assert rows[0] == {
        "name": "a|b",
        "count": "12345",
        "mean": "2",
        "std": "0.25",
        "share": "0.123457",
        "data": "cifar10",
        "test_set": "none",
    }
    assert [row["mean"] for row in rows[1:]] == ["", ""]


def test_groups_and_blocks():
    assert SMALL.groups == [("", 2), ("judge", 1), ("", 1)]
    assert SMALL.group_starts == {2, 3}
    assert SMALL.block_starts == {2}


def test_a_collapsed_row_has_a_mark_after_its_name_and_a_warning_below(project):
    rewrite(project.folders.models / "imbalance/gan-split1/run.json", collapsed_at_step=70)
    table = tables.scores(project.read("imbalance"), "gan", ["gan"])
    marked = [line[::2][:2] for line in table.cells if any("†" in cell for cell in line)]
    assert marked == [["split1", "GAN †"]]
    assert any("gan-split1" in note and "one image" in note and "step 70" in note for note in table.notes)
    assert replace(SMALL, rows=({"name": "a", "collapsed": 9},)).cells[0][0] == "a †"


def test_splits_table_prints_counts_and_ratio(results):
    table = tables.splits(results)
    by_split = {row["split"]: row for row in table.rows}
    assert by_split["split1"]["ratio"] == pytest.approx(8 / 3)
    assert by_split["split1"]["cat"] == 4000 and by_split["balanced"]["truck"] == 5000
    assert [column.key for column in table.columns][3:8] == ["cat", "dog", "horse", "deer", "bird"]


@pytest.mark.parametrize(("name", "shown"), [("gan", ("gan",)), ("vae", ("vae", "vae-gmm"))])
def test_score_tables_have_every_model_and_the_floor_on_every_split(results, name, shown):
    table = tables.scores(results, name, shown)
    assert [row["split"] for row in table.rows] == ["balanced"] * (len(shown) + 1) + ["split1"] * (len(shown) + 1)
    assert len(table.quiet) == 2 and all(table.rows[index]["model"] == "real images (floor)" for index in table.quiet)
    reported = {row["split"]: row["fid_reported"] for row in table.rows if "fid_reported" in row}
    assert reported == {split: results.reported["imbalance"][name][split]["fid"] for split in ("balanced", "split1")}


def test_score_caption_names_what_the_numbers_rest_on(results):
    line = tables.scores(results, "gan", ("gan",)).caption_line
    for fact in (
        "cifar10-jpeg",
        "10,000",
        "rgb-judge (resnet",
        "sha256",
        "85.0%",
        "training split",
        "training 42",
        "evaluation 1234",
        "custom",
    ):
        assert fact in line


@pytest.mark.parametrize("extractors", [("judge",), ("judge", "inception")])
def test_two_extractors_never_share_a_column(tmp_path, extractors):
    project = build_project(tmp_path, splits=("split1",), extractors=extractors)
    table = tables.scores(project.read("imbalance"), "gan", ("gan",))
    groups = {column.key: column.group for column in table.columns}
    assert groups["fid_classifier"] == "judge" and groups["fid_reported"] == "reported (Inception)"
    assert groups.get("fid") == ("Inception" if "inception" in extractors else None)


def test_reported_values_stand_only_beside_the_same_data(tmp_path):
    project = build_project(tmp_path, data="digits-rgb")
    table = tables.scores(project.read("imbalance"), "gan", ("gan",))
    assert not any(column.key.endswith("_reported") for column in table.columns)


def test_warnings_of_the_evaluation_stand_under_the_table(project):
    rewrite(project.folders.metrics_file("imbalance", "gan-split1"), warnings=["fid: too few images"])
    table = tables.scores(project.read("imbalance"), "gan", ("gan",))
    assert table.notes == ["Warning (gan-split1): fid: too few images."]


def test_missing_inception_scores_are_an_error(tmp_path):
    project = build_project(tmp_path, splits=("split1",), extractors=("judge", "inception"))
    rewrite(project.folders.metrics_file("imbalance", "gan-split1"), fid=None)
    results = project.read("imbalance")
    with pytest.raises(UserError, match="gan-split1 has no Inception scores"):
        tables.scores(results, "gan", ("gan",))


def test_class_share_table_compares_with_the_training_split(results):
    rows = {(row["split"], row["images"]): row for row in tables.class_shares(results).rows}
    assert rows["split1", "training split"]["cat"] == pytest.approx(0.4)
    assert rows["split1", "training split"]["truck"] == 0
    gan = rows["split1", "GAN"]
    share = dict(zip(results.runs["gan-split1"].classes, results.runs["gan-split1"].values["class_share"], strict=True))
    assert gan["bird"] == share["bird"] and gan["tv"] == results.runs["gan-split1"].values["class_share_tv"]
    assert gan["outside"] == pytest.approx(
        sum(share[name] for name in ("airplane", "automobile", "frog", "ship", "truck"))
    )
    assert rows["balanced", "GAN"]["outside"] is None


def test_class_share_of_wrong_length_is_refused(project):
    project.change("gan-split1", class_share=[1.0])
    results = project.read("imbalance")
    with pytest.raises(UserError, match="gan-split1: class_share has 1 entries for 10 classes"):
        tables.class_shares(results)


def test_classifier_table_names_role_and_calibration(project):
    (table,) = classifiers.STUDY.section(project.read("classifiers")).content
    judge = next(cells for cells in table.cells if cells[0] == "rgb-judge")
    assert judge[1:] == ["judge", "resnet", "cifar10-jpeg", "2", "85.00", "0.500", "6.00", "1.00", "1.400", "10,000"]

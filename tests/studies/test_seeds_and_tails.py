"""Rows over several seeds: spreads, paired differences, and the tables of the studies."""

import pytest

from made_up import build_project
from modescope.report import seeds
from modescope.studies.cgan import tables as cgan_tables
from modescope.studies.imbalance import STUDY, tables
from modescope.studies.two_stage import tables as two_stage_tables


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    return build_project(
        tmp_path_factory.mktemp("repeated"), splits=("balanced", "split1", "lt100"), more_seeds=(43, 44)
    )


def test_pairs_are_of_one_seed():
    assert seeds.paired_differences({42: 3.0, 43: 5.0, 45: 1.0}, {43: 1.0, 42: 1.0, 44: 9.0}) == [2.0, 4.0]


def test_an_interval_of_three_differences_reaches_from_the_least_to_the_largest():
    """One resample in 27 holds the least alone, more than the 2.5 % at each end."""
    assert seeds.bootstrap_interval([1.0, 2.0, 4.0]) == (1.0, 4.0)


def test_an_interval_gets_narrow_with_many_differences():
    low, high = seeds.bootstrap_interval([1.0, 2.0, 3.0] * 30)
    assert 1.8 < low < 1.9 and 2.1 < high < 2.2
    assert seeds.bootstrap_interval([1.0, 2.0, 3.0] * 30) == (low, high)


def test_equal_differences_have_no_spread():
    assert seeds.bootstrap_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_spreads_have_mean_deviation_and_n(repeated):
    for run, value in (("gan-split1", 1.0), ("gan-split1-s43", 2.0), ("gan-split1-s44", 6.0)):
        repeated.change(run, fid_classifier=value)
    spread, difference = tables.over_seeds(repeated.read("imbalance"))
    row = next(row for row in spread.rows if row["row"] == "gan-split1")
    assert (row["n"], row["seeds"], row["fid_classifier"]) == (3, "42, 43, 44", 3.0)
    assert row["fid_classifier_sd"] == pytest.approx(7**0.5)
    assert {row["row"] for row in spread.rows} == {
        f"{model}-{split}" for model in ("gan", "vae") for split in ("split1", "lt100")
    }
    assert "25%" in difference.caption


@pytest.mark.parametrize(("values", "verdict"), [((10.0, 11.0, 12.0), "yes"), ((10.0, 11.0, 0.5), "no")])
def test_an_interval_of_differences_with_equal_signs_excludes_0(repeated, values, verdict):
    for run, ours, theirs in zip(("", "-s43", "-s44"), (1.0, 2.0, 6.0), values, strict=True):
        repeated.change(f"gan-split1{run}", fid_classifier=ours)
        repeated.change(f"vae-split1{run}", fid_classifier=theirs)
    _, difference = tables.over_seeds(repeated.read("imbalance"))
    row = next(
        row for row in difference.rows if row["pair"] == "gan-split1 − vae-split1" and row["metric"].startswith("FID")
    )
    assert (row["verdict"], row["n"]) == (verdict, 3)


def test_study_3_compares_its_repeated_rows(repeated):
    spread, difference = cgan_tables.over_seeds(repeated.read("cgan"))
    assert [row["row"] for row in spread.rows] == ["cgan-wgan-gp", "cgan-ours"]
    assert {row["pair"] for row in difference.rows} == {"cgan-wgan-gp − cgan-ours"}


def test_study_2_has_rows_that_name_their_seed(repeated):
    (spread,) = two_stage_tables.over_seeds(repeated.read("two-stage"))
    assert {row["row"]: row["seeds"] for row in spread.rows}["d-ff-0.5"] == "42, 43"


def test_trainings_lists_the_repeated_ones(repeated):
    assert {"gan-lt100-s43", "vae-split1-s44"} <= {
        row["run"] for row in tables.timings(repeated.read("imbalance")).rows
    }
    assert "cgan-ours-s44" in {row["run"] for row in cgan_tables.timings(repeated.read("cgan")).rows}


def test_without_further_seeds_there_is_no_table(project):
    assert tables.over_seeds(project.read("imbalance")) == [] and cgan_tables.over_seeds(project.read("cgan")) == []


def test_the_long_tail_has_a_table_a_figure_and_a_finding(repeated):
    found = STUDY.section(repeated.read("imbalance"))
    names = [content.name for content in found.content]
    assert {"long_tail", "recall_of_classes", "seeds", "differences"} <= set(names)
    table = found.content[names.index("long_tail")]
    assert [row["split"] for row in table.rows] == ["lt100"] * 4 and table.rows[0]["num_few"] == 2000
    (finding,) = [finding for finding in found.findings if finding.head == "Long tail, lt100"]
    assert (
        "4 rarest classes are 4.1% of lt100's training images (IR 100.0)" in finding.text
    )  # 232 + 139 + 83 + 50 of 12,406


def test_study_2_on_a_long_tail_has_its_groups(repeated):
    params = (repeated.root / "params.yaml").read_text()
    assert two_stage_tables.tail(repeated.read("two-stage")) == []
    repeated.change_params({"two_stage": {"split": "lt100"}})
    for run in [run for run in repeated.keys if (repeated.folders.metrics / "two-stage" / f"{run}.json").exists()]:
        repeated.change(run, "two-stage", num_few=300, recall_few=0.25)
    (table,) = two_stage_tables.tail(repeated.read("two-stage"))
    assert {row["recall_few"] for row in table.rows[:-1]} == {0.25} and table.rows[-1]["num_few"] == 2000
    assert table.facts["reference"].startswith("the balanced training set")
    (repeated.root / "params.yaml").write_text(params)


@pytest.mark.parametrize(
    ("last", "wording"),
    [
        (0.9, "on 0 of them and the GAN's on 1 (total variation 0.900 against 0.300)"),
        (0.1, "on 0 of them and the GAN's on 0 (total variation 0.100 to 0.900 against 0.300)"),
    ],
)
def test_gan_against_vae_counts_splits_on_which_every_seed_agrees(repeated, last, wording):
    for end, value in (("", 0.9), ("-s43", 0.9), ("-s44", last)):
        repeated.change(f"gan-split1{end}", class_share_tv=0.3, fid_classifier=9.0)
        repeated.change(f"vae-split1{end}", class_share_tv=value, fid_classifier=1.0)
    repeated.change("real-split1", class_share_tv=0.01, fid_classifier=0.1)
    found = {finding.head: finding.text for finding in STUDY.findings(repeated.read("imbalance"))}
    text = found["GAN against VAE, every seed"]
    assert text.startswith("Trained with seeds 42, 43 and 44 on 1 imbalanced splits: ") and wording in text
    assert text.endswith("the VAE's FID is lower on 1 and the GAN's on 0.")

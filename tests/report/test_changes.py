"""Scores before and after: what the last stage of a study prints, and `modescope compare`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from modescope.errors import UserError
from modescope.files import write_json
from modescope.report.changes import SCORES, compare, short_table, since_the_commit, table
from modescope.report.tables import Column, Table, best_scores

METRICS = Path("profiles/demo/metrics")
ROWS = {
    "stage2-a": {"fid_classifier": 83.1, "class_consistency": 0.25, "guide_consistency": 0.5, "precision": 0.1},
    "stage2-d": {"fid_classifier": 78.6, "class_consistency": 0.5, "guide_consistency": 0.5},
    "real-balanced": {"fid_classifier": 1.0},
}


def git(*arguments: str) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *settings, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def write(changes: dict | None = None) -> None:
    for name, values in ROWS.items():
        write_json(METRICS / f"two-stage/{name}.json", values | (changes or {}).get(name, {}))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository whose demo is committed; an experiment `puffy-ibex` changed one row."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("results: profiles/demo/\n", encoding="utf-8")
    git("init", "-q")
    write({"stage2-a": {"fid_classifier": 70.0}})
    git("add", "-A")
    git("commit", "-qm", "experiment")
    git("update-ref", "refs/exps/ab/cdef/puffy-ibex", "HEAD")
    write()
    git("commit", "-qam", "baseline")
    return tmp_path


def test_a_table_has_the_rows_and_scores_that_differ_in_print(project):
    write({"stage2-a": {"class_consistency": 0.3, "fid_classifier": 83.10001, "precision": 0.9}})
    assert compare("HEAD") == ["HEAD → now  class consistency, % ↑ judge", "stage2-a    25.0 → 30.0"]
    assert compare("puffy-ibex", "HEAD") == ["puffy-ibex → HEAD  FID ↓ judge", "stage2-a           70.00 → 83.10"]
    assert compare("HEAD", "HEAD~0") == ["no score differs between HEAD and HEAD~0"]


def test_the_last_stage_says_what_changed_and_where_there_is_more(project):
    write({"stage2-a": {"fid_classifier": 84.5}, "stage2-d": {"fid_classifier": 70.0, "guide_consistency": 0.25}})
    assert since_the_commit(METRICS / "two-stage", git("rev-parse", "HEAD")) == [
        f"modescope compare {git('rev-parse', '--short=7', 'HEAD')}   stage2-a       stage2-d",
        "FID ↓ judge                 83.10 → 84.50  78.60 → 70.00",
        "class consistency, % guide  50.0           50.0 → 25.0",
    ]
    write()
    assert since_the_commit(METRICS / "two-stage", "HEAD") == []


def test_without_git_or_a_commit_of_these_numbers_there_is_nothing_to_compare(project):
    assert since_the_commit(Path("metrics/two-stage"), "HEAD") == []
    shutil.rmtree(".git")
    assert since_the_commit(METRICS / "two-stage", "HEAD") == []


def test_two_runs_are_compared_as_they_are(project):
    assert compare("stage2-a", "stage2-d") == [
        "run                  FID ↓ judge    class consistency, % ↑ judge",
        "stage2-a → stage2-d  83.10 → 78.60  25.0 → 50.0",
    ]


def test_a_name_with_scores_in_two_studies_is_refused(project):
    for study in ("cgan", "imbalance"):
        write_json(METRICS / study / "mine.json", {"fid_classifier": 1.0})
    with pytest.raises(UserError, match="mine has scores in cgan and imbalance: score it under a name of its own"):
        compare("mine", "stage2-a")


@pytest.mark.parametrize("names", [("nothing",), ("stage2-a", "nothing"), ("--all",), ("HEAD~9", "HEAD")])
def test_what_is_neither_run_nor_commit_nor_experiment_is_refused(project, names):
    with pytest.raises(UserError, match="is neither a commit nor a DVC experiment, nor two runs"):
        compare(*names)


def test_a_commit_without_numbers_is_said(project):
    Path("params.yaml").write_text("results: ''\n", encoding="utf-8")
    with pytest.raises(UserError, match="HEAD has no numbers in metrics"):
        compare("HEAD")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_runs_beyond_the_width_are_counted_and_scores_beyond_the_third_left_out(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    before, after = (
        {f"run{index}": dict.fromkeys(SCORES[:5], index / 10 + add) for index in range(9)} for add in (0, 0.05)
    )
    lines = short_table(before, after, "x")
    assert len(lines) == 4 and len(table(before, after, "x")) == 10
    shown = lines[0].count("run")
    assert 0 < shown < 9 and lines[0].endswith(f"and {9 - shown} more") and max(map(len, lines)) <= width
    few = ({"run0": scores["run0"]} for scores in (before, after))
    assert short_table(*few, "x")[0].split() == ["x", "run0"]


def test_a_run_that_is_new_has_a_dash_before_its_score():
    assert table({}, {"a": {"recall": 0.5}}, "x")[1] == "a  – → 0.500"


def test_a_summary_has_the_best_of_every_score_but_not_of_real_images():
    shown = (Column("row", "row"), Column("fid_classifier", "FID ↓"), Column("fid/cgan", "with labels", "FID ↓"))
    shown += (Column("class_consistency", "class consistency, % ↑"), Column("ece_after", "after", "ECE ↓"))
    shown += (Column("seconds", "seconds"),)
    rows = [
        {"row": "a", "fid_classifier": 3.0, "fid/cgan": 5, "class_consistency": 0.5, "seconds": 9.0},
        {"row": "b", "fid_classifier": 2.0, "class_consistency": 0.75, "ece_after": 0.1, "seconds": 8.0},
        {"row": "real", "quiet": True, "fid_classifier": 0.0, "class_consistency": 1.0},
    ]
    assert best_scores(Table("t", "t", shown, rows)) == {"fid": 2.0, "fid_cgan": 5, "consistency": 0.75, "ece": 0.1}

"""`modescope compare --query`: runs that a filter of MLflow finds, with their files or without."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modescope.errors import UserError
from modescope.mlflow import query
from modescope.mlflow.filing import push
from modescope.runs.folder import read_rows
from modescope.scoring.compare import compare
from tracked_runs import INFO, METRICS, train_run


@pytest.fixture
def filed(project):
    """Three filed runs of two studies, two of which have one name; no file of theirs is left."""
    for key, run, seed in (("a", "gan-split1", 0), ("b", "gan-split1", 1), ("c", "cgan-bce", 0)):
        study = "cgan" if run == "cgan-bce" else "imbalance"
        out = Path("models", study, run)
        shutil.rmtree(out, ignore_errors=True)
        facts = {"params": INFO["params"] | {"seed": seed}, "started": f"2026-01-01T00:00:0{'abc'.index(key)}+00:00"}
        train_run(out, key=key * 16, run=run, study=study, **facts)
        push(out, METRICS | {"recall": 0.25 * (seed + 1)})
    shutil.rmtree("models")
    Path("params.yaml").write_text("results: ''\n", encoding="utf-8")
    return project


def test_a_filter_finds_runs_of_all_studies_the_newest_first(filed):
    assert [one.info["key"][0] for one in query.find("params.seed = '0'", 5, filed / "found")] == ["c", "a"]
    (one,) = query.find('tags.study = "imbalance" and metrics."final/recall" > 0.3', 5, filed / "scores")
    assert one.scores["recall"] == 0.5 and one.info["params"]["seed"] == "1" and one.info["run"] == "gan-split1"


def test_what_is_found_is_what_was_filed(filed):
    one, other = query.find("tags.study = 'imbalance'", 2, filed / "found")
    assert {one.info["run"], other.info["run"]} == {"gan-split1 aaaaaa", "gan-split1 bbbbbb"}
    assert read_rows(one.folder) == {step: {"train/d_loss": 1 / step, "train/g_loss": step / 3} for step in range(1, 5)}
    pictures = sorted((one.folder / "samples").iterdir())
    assert [file.name for file in pictures] == ["step-000002.png", "step-000004.png"]
    assert (np.asarray(Image.open(pictures[1])) == 4).all()


def test_the_page_shows_them(filed, capsys):
    compare(html=Path("page.html"), query="tags.study = 'imbalance'")
    assert capsys.readouterr().out.startswith("2 runs: page.html (")
    page = Path("page.html").read_text(encoding="utf-8")
    assert "gan-split1 (2 seeds)" not in page  # they are called after the first of them
    assert re.search(r"gan-split1 bbbbbb \(2 seeds\)", page) and "0.375 ± 0.177" in page and page.count("<img ") == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.recall >", "MLflow cannot read the filter `metrics.recall >` (.*): a study is tags.study"),
        ("metrics.recall > 0", "the filter `metrics.recall > 0` finds no run: loosen it; .*final/recall"),
        ("params.seed != '7'", "finds more than 2 runs: narrow it down"),
    ],
)
def test_other_filters_are_one_line(filed, text, message):
    with pytest.raises(UserError, match=message.replace("(.*)", r"\(.*\)")) as error:
        query.find(text, 2, filed / "found")
    assert "\n" not in str(error.value) and not (filed / "found").exists()


def test_an_empty_store_has_no_run(project):
    with pytest.raises(UserError, match="finds no run"):
        query.find("params.seed = '0'", 5, project / "found")


@pytest.mark.parametrize("given", [{}, {"names": ["a"], "query": "b"}, {"query": "b"}])
def test_a_filter_stands_alone_and_makes_a_page(given):
    with pytest.raises(UserError, match="one of both|two, or --html"):
        compare(**given)

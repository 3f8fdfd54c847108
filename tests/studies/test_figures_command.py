"""`modescope figures`: a study's charts as PDF files."""

from dataclasses import replace
from pathlib import Path

import pytest

from made_up import build_project
from modescope.errors import UserError
from modescope.mlflow import filing
from modescope.report.figures import Picture
from modescope.scoring.figures import figures
from modescope.studies import STUDIES


def test_charts_are_written_and_sheets_are_not(tmp_path, monkeypatch, capsys):
    project = build_project(tmp_path, splits=("split1",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(filing, "read_final", project.read_final)
    chart, sheet = Picture("chart", "", "", "", b"", pdf=lambda: b"%PDF"), Picture("sheet", "", "", "", b"")
    monkeypatch.setitem(STUDIES, "cgan", replace(STUDIES["cgan"], content=lambda results: [chart, sheet]))
    figures("cgan", Path("paper/charts"))
    assert capsys.readouterr().out == "1 charts of cgan: paper/charts\n"
    assert [(file.name, file.read_bytes()) for file in Path("paper/charts").iterdir()] == [("chart.pdf", b"%PDF")]


def test_a_study_that_is_none_is_named():
    with pytest.raises(UserError, match="unknown study `gan`: there are imbalance, "):
        figures("gan", Path("paper"))

"""The results in README.md and docs/results.md are those of the committed reports, and these are the metrics files'."""

import csv
from pathlib import Path

import pytest

from modescope.errors import UserError
from modescope.files import read_json
from modescope.studies import STUDIES
from modescope.studies.documents import BLOCK, blocks, fill, main

DOCUMENTS = [Path("README.md"), Path("docs/results.md")]


@pytest.fixture(autouse=True)
def committed():
    """The committed results are the standard profile's; a demo that ran here since shows up in params.yaml."""
    if Path("params.yaml").read_text(encoding="utf-8") != Path("profiles/standard.yaml").read_text(encoding="utf-8"):
        pytest.skip(
            "params.yaml holds another profile: `modescope use standard` and `git checkout reports` bring it back"
        )


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_documents_hold_what_the_reports_hold(document):
    text = document.read_text(encoding="utf-8")
    assert fill(text, blocks(Path("reports"))) == text


def test_every_study_has_its_results_in_the_documentation():
    text = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    assert {name for _, name, _ in BLOCK.findall(text)} == set(blocks(Path("reports")))


@pytest.mark.parametrize("study", STUDIES)
def test_the_tables_are_the_metrics_files(study):
    with open(Path("reports", study, "tables", "readme.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    checked = 0
    for row in rows:
        files = [file for run in row["run"].split() for file in Path("metrics").glob(f"*/{run}.json")]
        assert len(files) == len(row["run"].split())
        known = {f"{value:.6g}" for file in files for value in read_json(file).values() if isinstance(value, float)}
        cells = [cell for name, cell in row.items() if name not in ("run", "steps")]
        numbers = [cell for cell in cells if cell.replace(".", "", 1).isdigit()]
        assert set(numbers) <= known, row
        checked += len(numbers)
    assert checked >= 2 * len(rows) > 0


def test_a_changed_number_is_seen_and_mended(tmp_path, monkeypatch):
    text = DOCUMENTS[1].read_text(encoding="utf-8")
    table = blocks(Path("reports"))["cgan table"].strip()
    assert table in text
    spoilt = tmp_path / "results.md"
    spoilt.write_text(text.replace(table, table.replace("0.854", "0.054")), encoding="utf-8")
    main(str(spoilt))
    assert spoilt.read_text(encoding="utf-8") == text


def test_a_block_that_nothing_fills_is_refused():
    with pytest.raises(UserError, match="no block `cgan tables`: there are imbalance table"):
        fill("<!-- results: cgan tables -->\n<!-- end -->", blocks(Path("reports")))

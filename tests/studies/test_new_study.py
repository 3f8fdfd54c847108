"""`docs/extending.md`, section "A new study", followed word by word in a clone: its page and its runs are there."""

import re
from pathlib import Path

import pytest

from benchmarks.clones import DEMO, copy_of_the_repository, run

SECTION = Path("docs/extending.md").read_text(encoding="utf-8").partition("## A new study\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```\w+\n# ([^\n]+)\n(.*?)```", SECTION, re.DOTALL)


def replace(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.slow
def test_the_guide_makes_a_study_with_a_page_and_runs(tmp_path):
    clone = copy_of_the_repository(tmp_path / "clone")
    run("modescope use demo", clone)
    for names, content in BLOCKS:
        for file in (clone / name for name in names.split(", ")):
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            assert bool(before) == (file.suffix == ".yaml"), "a module of the guide is new"
            stages, mark, rest = before.partition("\nmetrics:")  # of dvc.yaml
            file.write_text(f"{stages}\n{content}{mark}{rest}" if before else content, encoding="utf-8")
    replace(clone / "dvc.yaml", "\nplots:\n", "  - ${results}reports/means/summary.json\n\nplots:\n")
    replace(
        clone / "src/modescope/config/params.py", "    stacked: Stacked\n", "    stacked: Stacked\n    means: Means\n"
    )
    imports = "from modescope.config.sections"
    replace(clone / "src/modescope/config/params.py", imports, f"from modescope.config.means import Means\n{imports}")
    studies = clone / "src/modescope/studies/__init__.py"
    replace(
        studies,
        "import cgan, classifiers, imbalance, two_stage",
        "import cgan, classifiers, imbalance, means, two_stage",
    )
    replace(studies, "classifiers.STUDY)", "classifiers.STUDY, means.STUDY)")

    printed, _ = run("dvc repro report-means", clone)
    assert f"report: {DEMO}/reports/means/index.html" in printed
    page = (clone / DEMO / "reports/means/index.html").read_text(encoding="utf-8")
    assert "Class means as classifiers" in page and '<a id="few"></a>' in page and '<a id="many"></a>' in page
    finding = re.search(r"many ([0-9.]+)%, few ([0-9.]+)%", (clone / DEMO / "reports/means/findings.json").read_text())
    assert float(finding[1]) > float(finding[2]) > 10
    listed = "from modescope.mlflow.filing import read_final; from modescope.files import read_json; "
    listed += "key = read_json('models/means/many/run.json')['key']; print(read_final('means', [key])[key]['accuracy'])"
    accuracy, _ = run(f'python -c "{listed}"', clone)
    assert f"{100 * float(accuracy.splitlines()[-1]):.1f}" == finding[1]
    again, _ = run("dvc repro report-means", clone)
    assert "Running stage" not in again

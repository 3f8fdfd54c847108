"""Stage `overview`: the page above the studies' pages."""

from pathlib import Path

from modescope.process import run_stage
from modescope.report.page import write_overview
from modescope.studies.contents import LEAD, STUDIES


def main(reports: Path) -> None:
    """Write REPORTS/index.html from the findings of every study's page in REPORTS."""
    write_overview(LEAD, [reports / study for study in STUDIES], reports / "index.html")
    print(f"report: {reports / 'index.html'}")


if __name__ == "__main__":
    run_stage(main)

"""Stage `overview`: the page that leads to the studies' pages."""

import os
from pathlib import Path

from modescope.process import run_stage
from modescope.report.page import PAGE, write_overview
from modescope.studies import STUDIES
from modescope.studies.study import LEAD


def main(reports: Path) -> None:
    """Write REPORTS/index.html from the findings of every study's page in REPORTS, and say where it is.

    An experiment ends with what it changed, which its study's page has said.
    """
    page = reports / PAGE
    write_overview(LEAD, [reports / study for study in STUDIES], page)
    if "DVC_EXP_NAME" not in os.environ:
        print(f"report: {page}")


if __name__ == "__main__":
    run_stage(main)

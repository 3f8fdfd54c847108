"""Stage `report`: a study's page with every table and figure, from what MLflow holds and the metrics files confirm."""

import os
from pathlib import Path

from modescope.config import load_params
from modescope.errors import UserError
from modescope.mlflow import filing
from modescope.process import run_stage
from modescope.report.changes import since_the_commit
from modescope.report.page import PAGE, write_study
from modescope.report.results import Folders
from modescope.studies import STUDIES


def main(study: str, metrics: Path, models: Path, out: Path, data: Path = Path("data")) -> None:
    """Write the page of STUDY to OUT from METRICS, MODELS and --data."""
    if study not in STUDIES:
        raise UserError(f"unknown study `{study}`: there are {', '.join(STUDIES)}")
    chosen, params, folders = STUDIES[study], load_params(), Folders(metrics, models, data)
    # Before the sync, which would take the files' word for it.
    chosen.planned(params, folders).refuse_disagreement(filing.read_final, complete=False)
    filing.sync()
    results = chosen.read(params, folders, filing.read_final)
    write_study(chosen.page(results), chosen.glance(results), out)
    print(f"report: {out / PAGE}")
    changes = since_the_commit(metrics / study, os.environ.get("DVC_EXP_BASELINE_REV") or "HEAD")
    print("".join(f"{line}\n" for line in changes), end="")


if __name__ == "__main__":
    run_stage(main)

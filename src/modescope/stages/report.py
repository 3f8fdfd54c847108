"""Stage `report`: a study's page with every table and figure, from what MLflow holds and the metrics files confirm."""

from pathlib import Path

from modescope.config import load_params
from modescope.errors import UserError
from modescope.mlflow import filing
from modescope.process import run_stage
from modescope.report.page import write_study
from modescope.report.results import Folders, refuse_disagreement
from modescope.studies.contents import STUDIES, build_page, collect, expected_runs


def main(study: str, metrics: Path, models: Path, out: Path, data: Path = Path("data")) -> None:
    """Write the page of STUDY to OUT from METRICS, MODELS and --data."""
    if study not in STUDIES:
        raise UserError(f"unknown study `{study}`: there are {', '.join(STUDIES)}")
    params, folders, chosen = load_params(), Folders(metrics, models, data), [STUDIES[study]]
    # Before the sync, which would take the files' word for it.
    refuse_disagreement(folders, expected_runs(params, folders, chosen), filing.read_final, complete=False)
    filing.sync()
    write_study(build_page(collect(params, folders, filing.read_final, chosen), chosen), out)
    print(f"report: {out / 'index.html'}")


if __name__ == "__main__":
    run_stage(main)

"""Stage `report`: every table and figure, from what MLflow holds and the metrics files confirm."""

from pathlib import Path

from modescope import tracking
from modescope.config import load_params
from modescope.process import run_stage
from modescope.report.contents import build_page, collect, expected_runs
from modescope.report.page import write_page
from modescope.report.results import Folders, refuse_disagreement


def main(metrics: Path, models: Path, reports: Path, data: Path = Path("data")) -> None:
    """Write tables, figures and index.html to REPORTS from METRICS, MODELS and --data."""
    params, folders = load_params(), Folders(metrics, models, data)
    # Before the sync, which would take the files' word for it.
    refuse_disagreement(folders, expected_runs(params, folders), tracking.read_final, complete=False)
    tracking.sync()
    write_page(build_page(collect(params, folders, tracking.read_final)), reports)
    print(f"report: {reports / 'index.html'}")


if __name__ == "__main__":
    run_stage(main)

"""Stage `report`: a study's page with every table and figure, from what MLflow holds and the metrics files confirm."""

import os
from pathlib import Path

from modescope.config import load_params
from modescope.errors import UserError
from modescope.mlflow import filing
from modescope.process import run_stage
from modescope.report.changes import since_the_commit
from modescope.report.page import EXPLORE, PAGE, write_study
from modescope.report.results import Folders
from modescope.runs.folder import read_run
from modescope.studies import find_study


def main(study: str, metrics: Path, models: Path, out: Path, data: Path = Path("data")) -> None:
    """Write the page of STUDY to OUT from METRICS, MODELS and --data."""
    chosen, params, folders = find_study(study), load_params(), Folders(metrics, models, data)
    planned, run = chosen.rows(params, folders), params.inside.explored(study)
    if run and not (models / study / run).is_dir():
        trained = sorted(folder.name for folder in (models / study).glob("*/"))
        raise UserError(
            f"params.yaml: inside.explore names {run}, which is not trained; there are {', '.join(trained)}"
        )
    # Before the sync, which would take the files' word for it.
    planned.refuse_disagreement(filing.read_final, complete=False)
    filing.sync()
    results = planned.read(filing.read_final)
    inside = {EXPLORE: explorer(models / study / run)} if run else {}
    write_study(chosen.page(results), chosen.glance(results), out, inside)
    changes = since_the_commit(metrics / study, os.environ.get("DVC_EXP_BASELINE_REV") or "HEAD")
    print("\n".join(changes or [f"report: {out / PAGE}"]))


def explorer(run: Path) -> str:
    """The page of a run's generator, inside."""
    from modescope.evaluation.loaders import load_sampler  # brings torchvision: pages of numbers do without
    from modescope.explore.page import to_html

    return to_html(load_sampler(run), read_run(run))


if __name__ == "__main__":
    run_stage(main)

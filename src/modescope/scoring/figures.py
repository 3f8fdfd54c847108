"""`modescope figures` on the command line: a study's charts as PDF files, for papers."""

from pathlib import Path
from typing import Annotated

import typer


def figures(
    study: Annotated[str, typer.Argument(help="imbalance, two-stage, cgan or classifiers")],
    pdf: Annotated[Path, typer.Option(help="The folder to write them to")],
) -> None:
    """Write every chart of a study's page as PDF, as the page has it: sharp at any size, with its fonts inside.

    Image sheets have pixels: they are PNG files beside the page.
    """
    from modescope.config import load_params, results_folder
    from modescope.files import atomic_path
    from modescope.mlflow import filing
    from modescope.report.figures import Picture
    from modescope.report.results import Folders
    from modescope.studies import find_study

    found = find_study(study)
    folders = Folders(results_folder(Path()) / "metrics", Path("models"), Path("data"))
    results = found.rows(load_params(), folders).read(filing.read_final)
    charts = [item for item in found.content(results) if isinstance(item, Picture) and item.pdf]
    pdf.mkdir(parents=True, exist_ok=True)
    for chart in charts:
        with atomic_path(pdf / f"{chart.name}.pdf") as temporary:
            temporary.write_bytes(chart.pdf())
    print(f"{len(charts)} charts of {study}: {pdf}")

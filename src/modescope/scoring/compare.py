"""`modescope compare` on the command line: a table in the terminal, or a page of any number of runs."""

from pathlib import Path
from typing import Annotated

import typer

from modescope.errors import UserError


def compare(
    names: Annotated[
        list[str], typer.Argument(help="Two runs, or one or two commits or DVC experiments; with --html runs: gan-*")
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write FILE.html: samples, curves, scores and what differs in the parameters")
    ] = None,
) -> None:
    """Print the scores that differ between runs, commits or experiments, or write a page that shows runs side by side.

    A commit or an experiment alone is compared with the files as they are.
    """
    if html is None:
        from modescope.report.changes import compare as compare_them

        if len(names) > 2:
            raise UserError(f"{len(names)} names are too many to print: two, or --html FILE.html")
        print("\n".join(compare_them(*names)))
        return
    if html.suffix != ".html":
        raise UserError(f"{html} is no .html: name the page FILE.html")
    from modescope.mlflow.filing import links
    from modescope.report.compared import read_runs, write_comparison
    from modescope.runs.listing import matching_runs

    runs = read_runs(matching_runs(names))
    size = write_comparison(runs, links({run.info["key"]: run.study for run in runs}), html)
    print(f"{len(runs)} runs: {html} ({size / 1e6:.2f} MB)")

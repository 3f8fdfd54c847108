"""`modescope compare` on the command line: a table in the terminal, or a page of any number of runs."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from modescope.errors import UserError

MOST = 50  # runs that a filter may find: what a page of 10 MB holds


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Two runs, or one or two commits or DVC experiments; with --html runs: gan-*"),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write FILE.html: samples, curves, scores and what differs in the parameters")
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(help="With --html: the runs of all studies that a filter of MLflow finds, newest first"),
    ] = None,
) -> None:
    """Print the scores that differ between runs, commits or experiments, or write a page that shows runs side by side.

    A commit or an experiment alone is compared with the files as they are.
    """
    if (query is None) == (not names):
        raise UserError("name what to compare, or give --query FILTER: one of both")
    if html is not None and html.suffix != ".html":
        raise UserError(f"{html} is no .html: name the page FILE.html")
    if html is not None:
        write_page(names or [], query, html)
        return
    if query is not None or len(names) > 2:
        what = "a filter's runs" if query else f"{len(names)} names"
        raise UserError(f"{what} are too many to print: two, or --html FILE.html")
    from modescope.report.changes import compare as compare_them

    print("\n".join(compare_them(*names)))


def write_page(names: list[str], query: str | None, html: Path) -> None:
    """Write the page of the runs of these names, or of those that a filter finds in MLflow."""
    from modescope.mlflow.filing import links
    from modescope.report.compared import read_runs, write_comparison
    from modescope.report.results import Run
    from modescope.runs.listing import matching_runs

    with TemporaryDirectory() as scratch:
        if query is None:
            runs = read_runs(matching_runs(names))
        else:
            from modescope.mlflow.query import find

            found = find(query, MOST, Path(scratch))
            runs = [Run(one.info["study"], one.info["run"], one.folder, one.info, one.scores) for one in found]
        size = write_comparison(runs, links({run.info["key"]: run.study for run in runs}), html)
    print(f"{len(runs)} runs: {html} ({size / 1e6:.2f} MB)")

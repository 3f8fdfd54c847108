"""`modescope sweep` on the command line."""

import importlib.util
from typing import Annotated

import typer

from modescope.errors import UserError


def sweep(
    settings: Annotated[
        list[str], typer.Option("-S", help="As `dvc exp run -S` takes it: n_gen=5,20; may be given again")
    ],
    targets: Annotated[list[str] | None, typer.Argument(help="Stages of every point [default: all]")] = None,
    jobs: Annotated[int | None, typer.Option("-j", help="As for repro, of all points together")] = None,
    on: Annotated[str | None, typer.Option(help="As for repro")] = None,
    trials: Annotated[
        int | None, typer.Option("--optuna", help="Let Optuna propose so many points of ranges: -S lr=0.01..2:log")
    ] = None,
    minimize: Annotated[str | None, typer.Option(help="FILE:KEY, the score in a metrics file; for --optuna")] = None,
    maximize: Annotated[str | None, typer.Option(help="The same, if high is good")] = None,
    prune: Annotated[
        str | None, typer.Option(help="A curve of the run that FILE is named after, by which trials are ended early")
    ] = None,
) -> None:
    """Run every point of a grid as a DVC experiment, side by side; a stage that several points share runs once."""
    from modescope.parallel.sweep import sweep as run_points

    if trials is None and (minimize or maximize or prune):
        raise UserError("--minimize, --maximize and --prune belong to --optuna N: say how many trials")
    if trials is None:
        raise typer.Exit(run_points(settings, targets or (), jobs, on))
    if targets:
        raise UserError(f"--optuna runs what the score needs: leave {', '.join(targets)} out")
    if importlib.util.find_spec("optuna") is None:
        raise UserError("--optuna: Optuna is not installed, `pip install -e '.[optuna]'` installs it")
    from modescope.parallel.search import Goal, search

    raise typer.Exit(search(settings, trials, Goal.read(minimize, maximize, prune), jobs, on))

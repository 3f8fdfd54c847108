"""What is wrong in the MLflow store."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from modescope.doctor.finding import Finding


def store_troubles(_folder: Path) -> Iterator[Finding]:
    """A store that cannot be used; else experiments whose artifacts lie elsewhere, and runs that only seem to run."""
    from modescope.mlflow import health

    error = health.trouble()
    if error is not None:
        what, _, advice = str(error).rpartition(": ")
        yield Finding(what, advice)
        return
    # Before the dead runs, which are sent: MLflow's client remembers where the artifacts of a run lie.
    for study, place in health.misplaced():
        what = f"MLflow keeps the pictures of `{study}` in {place}, not beside its database"
        yield Finding(what, "modescope doctor --mend", partial(health.repoint, study))
    for name, run in health.dead_runs():
        what = f"MLflow shows run `{name}` as running, but nobody trains it"
        yield Finding(what, "modescope sync", partial(health.close, run))

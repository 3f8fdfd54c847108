"""Runs that a filter of MLflow finds, brought back as what they were filed from: a record, curves, samples, scores."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from modescope.errors import UserError
from modescope.mlflow.store import MlflowException, Store, opened
from modescope.process import uncollected
from modescope.runs.folder import CURVES_FILE, Rows, write_table

with uncollected():
    from mlflow.entities import Run

FINAL, PICTURE = "final/", "samples+step+"  # begin the names of scores, and of the files of sample grids
HINT = 'a study is tags.study = "cgan", a score metrics."final/recall" > 0.5'


class Filed(NamedTuple):
    """A run as MLflow holds it: what run.json says of it, as far as a comparison asks; scores by name."""

    folder: Path
    info: Mapping[str, Any]
    scores: Mapping[str, float]


def find(query: str, most: int, folder: Path) -> list[Filed]:
    """The runs of all our studies that a filter of `mlflow.search_runs` finds, the newest first.

    Their curves and samples are written below `folder`. Runs of one name are told apart by their keys.

    Raises:
        UserError: MLflow cannot read the filter, or it finds no run, or more than `most`; or the store cannot be used.
    """
    with opened("modescope compare") as store:
        runs = _search(store, query, most)
        names = [run.info.run_name for run in runs]
        return [_fetch(store, run, names.count(run.info.run_name) > 1, folder) for run in runs]


def _search(store: Store, query: str, most: int) -> list[Run]:
    try:  # MLflow's own order is that of the starts, the last one first
        runs = store.client.search_runs([*store.experiments().values()], query, max_results=most + 1)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":  # the store's fault, not the filter's
            raise
        fault = " ".join(str(error).split())[:200]
        raise UserError(f"MLflow cannot read the filter `{query}` ({fault}): {HINT}") from None
    if not 0 < len(runs) <= most:
        found, do = ("no run", f"loosen it; {HINT}") if not runs else (f"more than {most} runs", "narrow it down")
        raise UserError(f"the filter `{query}` finds {found}: {do}")
    return list(runs)


def _fetch(store: Store, run: Run, name_is_shared: bool, parent: Path) -> Filed:
    tags, number = run.data.tags, run.info.run_id
    folder = parent / number
    (folder / "samples").mkdir(parents=True)
    write_table(folder / CURVES_FILE, _rows(store, run))
    with TemporaryDirectory() as scratch:
        for step, path in _pictures(store, number):
            picture = Path(store.client.download_artifacts(number, path, scratch))
            picture.replace(folder / "samples" / f"step-{step:06d}.png")
    info = {name: tags.get(name, "") for name in ("key", "study", "model")}
    info |= {"run": run.info.run_name + (f" {info['key'][:6]}" if name_is_shared else "")}
    info |= {"params": run.data.params, "data": {"split": tags.get("split")}}
    scores = {name.removeprefix(FINAL): value for name, value in run.data.metrics.items() if name.startswith(FINAL)}
    return Filed(folder, info, scores)


def _rows(store: Store, run: Run) -> Rows:
    rows: Rows = {}
    for name in run.data.metrics:
        if not name.startswith(FINAL):
            for point in store.client.get_metric_history(run.info.run_id, name):
                rows.setdefault(point.step, {})[name] = point.value
    return dict(sorted(rows.items()))


def _pictures(store: Store, number: str) -> Iterator[tuple[int, str]]:
    """Step and path of every sample grid among a run's artifacts."""
    for file in store.client.list_artifacts(number, "images"):
        name = Path(file.path).name
        if name.startswith(PICTURE) and name.endswith(".png"):
            yield int(name.removeprefix(PICTURE).partition("+")[0]), file.path

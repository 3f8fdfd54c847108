"""Filing runs in MLflow, one that has just changed or all that lie in the files, and reading their final values back.

MLflow is imported where it is used: it takes a second, and a machine without it trains all the same.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from modescope.config import results_folder
from modescope.errors import UserError, say
from modescope.files import read_json
from modescope.mlflow.record import read_record
from modescope.runs.folder import read_run
from modescope.runs.listing import finished_runs, interrupted_runs

LEFT_OUT = "left out"

_given_up: set[str] = set()  # stores that this process found unreachable


def push(folder: Path, metrics: Mapping[str, Any] | None = None, *, source: str = "restored") -> str | None:
    """File a run's folder, with the content of its metrics file if there is one, and return a link to it.

    What the store has already is not sent twice. Without MLflow, or with a store that cannot be used, one warning is
    printed, this process does not try once more, and None is returned: `modescope sync` files the run later.

    Raises:
        OtherSchema: the database has another schema.
    """
    if not _is_installed():
        return None
    from modescope.mlflow.address import store_uri, unreachable
    from modescope.mlflow.database import OtherSchema
    from modescope.mlflow.sending import send
    from modescope.mlflow.store import open_store

    uri = store_uri()
    if uri in _given_up:
        return None
    try:
        store = open_store()
        run, _ = send(store, read_record(folder, metrics), source)
        return store.link(run)
    except OtherSchema:
        raise
    except UserError as error:  # the run's files are damaged
        say(f"warning: the run is not filed: {error}")
        return None
    except Exception as error:  # a fault in tracking, whichever it is, must not end a training run
        _given_up.add(uri)
        say(f"warning: tracking is off: {unreachable(uri, error)}")
        return None


@cache
def _is_installed() -> bool:
    """Whether there is MLflow; its absence is reported once per process."""
    try:
        import modescope.mlflow.store  # noqa: F401
    except ModuleNotFoundError as missing:
        if missing.name != "mlflow":
            raise
        say("warning: runs are not filed because MLflow is not installed; `modescope sync` files them later")
        return False
    return True


def sync(folder: Path = Path(".")) -> list[tuple[str, str]]:
    """File every run that lies in `folder`, and close those that died under way.

    Returns:
        (run, what was done: `created`, `completed` or `unchanged`), in order, and (folder, `left out: ...`) for a run
        whose files are damaged. A second call changes nothing.

    Raises:
        UserError: the store cannot be used.
    """
    from modescope.mlflow.sending import send
    from modescope.mlflow.store import MlflowException, opened

    done = []
    with opened() as store:
        store.experiments()  # a store that does not answer is found before any run is read
        for place in finished_runs(folder) + interrupted_runs(folder):
            try:
                record = read_record(place, read_metrics(folder, read_run(place)))
                _, sent = send(store, record, "restored")
                done.append((record.run, "created" if "run" in sent else "completed" if sent else "unchanged"))
            except UserError as error:
                done.append((str(place), f"{LEFT_OUT}: {error}"))
            except MlflowException as error:
                if error.error_code != "INVALID_PARAMETER_VALUE":  # the store's fault, not the run's
                    raise
                done.append((str(place), f"{LEFT_OUT}: MLflow refuses it ({error})"))
    return done


def read_metrics(folder: Path, info: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metrics of the run whose record `info` is, which lies in `folder`; None where there are none."""
    file = results_folder(folder) / "metrics" / info["study"] / f"{info['run']}.json"
    return read_json(file) if file.exists() else None


def read_final(study: str, keys: Iterable[str]) -> dict[str, dict[str, float]]:
    """Final values of runs: key -> metric (without `final/`; a list's entry is `NAME/CLASS`) -> value, exact.

    Unknown keys are left out. Raises UserError if the store cannot be used.
    """
    from modescope.mlflow.store import opened

    wanted = set(keys)
    with opened() as store:
        experiment = store.experiments().get(study)
        runs = [] if experiment is None else store.client.search_runs([experiment], max_results=50_000)
    return {run.data.tags["key"]: _finals(run) for run in runs if run.data.tags.get("key") in wanted}


def links(studies: Mapping[str, str]) -> dict[str, str]:
    """Key -> address of the run's page in MLflow; empty where no server shows the store, or it cannot be used.

    Args:
        studies: key -> study.
    """
    from modescope.mlflow.address import sqlite_file, store_uri
    from modescope.mlflow.store import opened

    file = sqlite_file(store_uri())
    if file is not None and not file.exists():  # it would be created
        return {}
    try:
        with opened() as store:
            if store.address() is None:
                return {}
            experiments = store.experiments()
            found = {key: store.find(experiments[of], key) for key, of in studies.items() if of in experiments}
            return {key: store.link(run) for key, run in found.items() if run is not None}
    except UserError:
        return {}


def _finals(run: Any) -> dict[str, float]:
    return {name.removeprefix("final/"): value for name, value in run.data.metrics.items() if name.startswith("final/")}

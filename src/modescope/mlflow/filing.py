"""Filing runs in MLflow, one that has just changed or all that lie in the files, and reading their final values back.

The store is imported where it is opened: MLflow takes a second.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modescope.errors import UserError
from modescope.files import read_json, root, write_json
from modescope.mlflow.record import read_record
from modescope.runs.folder import RUN_FILE, WORK_FOLDERS
from modescope.runs.locks import lock_file, try_lock

_given_up: set[str] = set()  # stores that this process found unreachable


def push(folder: Path, metrics: Mapping[str, Any] | None = None, *, source: str = "restored") -> str | None:
    """File a run's folder, with the content of its metrics file if there is one, and return a link to it.

    What the store has already is not sent again. A store that cannot be used costs one warning, is not tried again by
    this
    process, and None is returned: `modescope sync` files the run later.

    Raises:
        UserError: the database has another schema.
    """
    if find_spec("mlflow") is None:
        _warn_without_mlflow()
        return None
    from modescope.mlflow.store import open_store, store_uri, unreachable

    uri = store_uri()
    if uri in _given_up:
        return None
    try:
        store = open_store()
        run, _ = store.send(read_record(folder, metrics), source)
        return store.link(run)
    except UserError:
        raise
    except Exception as error:  # whatever ails the tracker, training goes on
        _given_up.add(uri)
        print(f"modescope: warning: tracking is off: {unreachable(uri, error)}", file=sys.stderr, flush=True)
        return None


@cache
def _warn_without_mlflow() -> None:
    """Once a process."""
    advice = "runs are plain files here, `modescope sync` files them where it is"
    print(f"modescope: warning: tracking is off: MLflow is not installed; {advice}", file=sys.stderr, flush=True)


def sync(folder: Path = Path(".")) -> list[tuple[str, str]]:
    """File every run that lies in `folder`, and close those that died under way.

    Returns:
        (run, what was done: `created`, `completed` or `unchanged`), in order. A second call changes nothing.

    Raises:
        UserError: the store cannot be used.
    """
    from modescope.mlflow.store import FAULTS, open_store, store_uri, unreachable

    done = []
    try:
        store = open_store()
        store.experiments()  # answers, or there is no use in going on
        for place in _finished(folder) + _interrupted(folder):
            info = read_json(place / RUN_FILE)
            file = folder / "metrics" / info["study"] / f"{info['run']}.json"
            _, sent = store.send(read_record(place, read_json(file) if file.exists() else None), "restored")
            done.append((info["run"], "created" if "run" in sent else "completed" if sent else "unchanged"))
    except FAULTS as error:
        raise unreachable(store_uri(), error) from error
    return done


def read_final(study: str, keys: Iterable[str]) -> dict[str, dict[str, float]]:
    """Final values of runs: key -> metric (without `final/`; a list's entry is `NAME/CLASS`) -> value, exact.

    Unknown keys are left out. Raises UserError if the store cannot be used.
    """
    from modescope.mlflow.store import FAULTS, open_store, store_uri, unreachable

    wanted = set(keys)
    try:
        store = open_store()
        experiment = store.experiments().get(study)
        runs = [] if experiment is None else store.client.search_runs([experiment], max_results=50_000)
    except FAULTS as error:
        raise unreachable(store_uri(), error) from error
    return {run.data.tags["key"]: _finals(run) for run in runs if run.data.tags.get("key") in wanted}


def _finals(run: Any) -> dict[str, float]:
    return {name.removeprefix("final/"): value for name, value in run.data.metrics.items() if name.startswith("final/")}


def _finished(folder: Path) -> list[Path]:
    """Runs as the pipeline leaves them (hidden folders are half-written ones)."""
    files = [
        file for pattern in ("data/reference*/*", "models/**") for file in sorted(folder.glob(f"{pattern}/{RUN_FILE}"))
    ]
    return [file.parent for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _interrupted(folder: Path) -> list[Path]:
    """Work folders that no process holds, of runs that have not been finished since; a dead one is marked killed."""
    finished = {read_json(place / RUN_FILE)["key"] for place in _finished(folder)}
    return [place for place in _dead_work_folders() if read_json(place / RUN_FILE)["key"] not in finished]


def _dead_work_folders() -> Iterator[Path]:
    for file in sorted((root() / WORK_FOLDERS).glob(f"*/{RUN_FILE}")):
        held = try_lock(lock_file(file.parent))
        if held is None:
            continue
        with held:
            info = read_json(file)
            if info["status"] == "running":
                write_json(file, {**info, "status": "killed"})
        yield file.parent

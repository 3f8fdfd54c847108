"""What is wrong in the store: it cannot be used, shows dead runs as running, or keeps artifacts elsewhere."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from modescope.errors import UserError
from modescope.files import root
from modescope.mlflow.address import sqlite_file, store_uri, unreachable
from modescope.mlflow.database import is_missing
from modescope.mlflow.filing import sync
from modescope.mlflow.store import Store, open_store, opened
from modescope.runs.folder import WORK_FOLDERS
from modescope.runs.locks import lock_file, try_lock


def exists() -> bool:
    """Whether there is a store: a database file is made by the first run."""
    file = sqlite_file(store_uri())
    return file is None or not is_missing(file)


def trouble() -> UserError | None:
    """Why the store cannot be used, and what to do; None if it can be."""
    file = sqlite_file(store_uri())
    if file is not None and not exists():
        place = next(folder for folder in file.parents if folder.exists())
        if place.is_dir() and os.access(place, os.W_OK):
            return None
        return unreachable(store_uri(), PermissionError(f"permission denied: {place}"))
    try:
        with opened() as store, store.exclusive():
            store.experiments()
            check_file(store)
    except UserError as error:
        return error
    return None


def check_file(store: Store) -> None:
    """Raises sqlite3.DatabaseError for an SQLite file that was cut off, say, where nothing has looked so far."""
    if store.database is not None:
        with closing(sqlite3.connect(store.database)) as connection:
            found = connection.execute("pragma quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"it is damaged, {found}")


def dead_runs() -> list[tuple[str, str]]:
    """(name, MLflow's id) of runs that are shown as running although no process trains them.

    In a store that several repositories share, a run without a work folder here may be trained elsewhere, and does not
    count.
    """
    if not exists():
        return []
    store = open_store()
    ours = store.database is not None and store.database.parent == root()
    running = store.client.search_runs(
        list(store.experiments().values()), "attributes.status = 'RUNNING'", max_results=1000
    )
    folders = {run.info.run_id: root() / WORK_FOLDERS / run.data.tags.get("key", "none") for run in running}
    return [
        (run.info.run_name, run.info.run_id)
        for run in running
        if (ours or folders[run.info.run_id].exists()) and not _is_held(folders[run.info.run_id])
    ]


def _is_held(folder: Path) -> bool:
    """Whether a process trains in a work folder."""
    if not lock_file(folder).exists():
        return False
    held = try_lock(lock_file(folder))
    if held is not None:
        held.close()
    return held is None


def close(run: str) -> None:
    """Give a dead run its true status: that of its files, or killed where there are none."""
    sync()
    client = open_store().client
    if client.get_run(run).info.status == "RUNNING":
        client.set_terminated(run, "KILLED")


def misplaced() -> list[tuple[str, str]]:
    """(study, place) of experiments in an SQLite store whose artifacts do not lie beside it."""
    if not exists():
        return []
    store = open_store()
    return [(study, each.artifact_location) for study, each in store.ours().items() if store.is_misplaced(study, each)]


def repoint(study: str) -> None:
    """Let all artifacts of a study lie beside the database, and send what is missing there."""
    store = open_store()
    with store.exclusive():
        store.repoint(study, store.ours()[study])
    sync()

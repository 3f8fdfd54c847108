"""What is wrong in the store: it cannot be used, shows dead runs as running, or keeps artifacts elsewhere."""

import sqlite3
from pathlib import Path

from modescope.errors import UserError
from modescope.files import root
from modescope.mlflow.filing import sync
from modescope.mlflow.store import open_store, opened, store_uri
from modescope.runs.folder import WORK_FOLDERS
from modescope.runs.locks import lock, lock_file, try_lock

SQLITE = "sqlite:///"
PATHS = [  # where MLflow's tables keep paths: table, column
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
]  # fmt: skip


def exists() -> bool:
    """Whether there is a store: a database file is made by the first run."""
    return database() is None or database().exists()


def database() -> Path | None:
    """The store's SQLite file; None if it is a server."""
    uri = store_uri()
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def trouble() -> UserError | None:
    """Why the store cannot be used, and what to do; None if it can be, or is not there yet."""
    if not exists():
        return None
    try:
        with opened() as store:
            store.experiments()
    except UserError as error:
        return error
    return None


def dead_runs() -> list[tuple[str, str]]:
    """(name, MLflow's id) of runs that are shown as running although no process trains them.

    In a store that several repositories share, a run without a work folder here may be trained elsewhere, and does not
    count.
    """
    if not exists():
        return []
    store, ours = open_store(), database() is not None and database().parent == root()
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
    if not exists() or database() is None:
        return []
    store = open_store()
    found = [store.client.get_experiment(number) for number in store.experiments().values()]
    return [
        (each.name, each.artifact_location)
        for each in found
        if each.artifact_location != str(store.artifacts / each.name)
    ]


def repoint(study: str, place: str) -> None:
    """Let all artifacts of a study that lie below `place` lie beside the database, and send what is missing there.

    MLflow has no call that moves an experiment's artifacts, so this changes the paths in its tables.
    """
    store, connection = open_store(), sqlite3.connect(database())
    with lock(store.lock_file), connection:
        values = (str(store.artifacts / study), len(place) + 1, place, f"{place}/%")
        for table, column in PATHS:
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where {column} = ? or {column} like ?", values
            )
    connection.close()
    sync()

"""The MLflow store: where it is, how it is opened, where studies and runs are in it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from modescope.config.studies import STUDIES
from modescope.errors import UserError, masked
from modescope.files import root
from modescope.process import uncollected
from modescope.runs.locks import lock

with uncollected():
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from sqlalchemy.exc import SQLAlchemyError

    from modescope.mlflow.database import prepare_database

FAULTS = (MlflowException, SQLAlchemyError, OSError)  # a store that is down, broken or out of space
DEFAULT_PORT = 5000
TRAINING = "workflowType=machine_learning"  # else MLflow opens its pages for language models
NOTE = "mlflow.note.content"

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)


def store_uri() -> str:
    """`$MLFLOW_TRACKING_URI`, else a database in the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root() / 'mlflow.db'}"


def open_store() -> "Store":
    """The store in use. Raises UserError for a database of another schema, one of `FAULTS` if it cannot be reached."""
    return _open(store_uri(), root())


@contextmanager
def opened(command: str = "modescope sync") -> Iterator["Store"]:
    """The store in use, for a command that is of no use without it.

    Raises:
        UserError: the store cannot be used; mend it, then run `command`.
    """
    try:
        yield open_store()
    except FAULTS as error:
        raise unreachable(store_uri(), error, command) from error


def unreachable(uri: str, error: Exception, command: str = "modescope sync") -> UserError:
    """What the user reads of a store that cannot be used."""
    reason = masked(" ".join(str(error).split()))[:200]
    return UserError(
        f"the MLflow store {uri} cannot be used ({reason}): start it or unset MLFLOW_TRACKING_URI, then run `{command}`"
    )


@cache
def _open(uri: str, folder: Path) -> "Store":
    return Store(uri, folder)


class Store:
    """An MLflow tracking store. Experiments are studies, runs are found by the tag `key`.

    Args:
        uri: of a database or a server.
        folder: holds the lock and the artifacts, unless `uri` is an SQLite file: then they lie beside that.
    """

    def __init__(self, uri: str, folder: Path):
        self.uri = uri
        scheme = urlsplit(uri).scheme.partition("+")[0]
        database = Path(uri.partition(":///")[2]).resolve() if scheme == "sqlite" else None
        self.lock_file = Path(f"{database or folder / 'mlflow.db'}.lock")
        place = database.parent if database else folder
        self.artifacts = place / "mlartifacts" if scheme in DATABASE_ENGINES else None
        if self.artifacts is not None:
            with lock(self.lock_file):
                prepare_database(uri, database, self.artifacts)
        self.client = MlflowClient(uri)

    def experiments(self) -> dict[str, str]:
        """Study -> id."""
        found = self.client.search_experiments()
        return {each.name: each.experiment_id for each in found if each.name != "Default"}

    def experiment(self, study: str) -> str:
        """Id of the study's experiment, created if need be."""
        found = self.client.get_experiment_by_name(study)
        if found is None:
            artifacts = str(self.artifacts / study) if self.artifacts else None
            return self.client.create_experiment(study, artifacts, {NOTE: STUDIES.get(study, study)})
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def find(self, experiment: str, key: str) -> Run | None:
        """The run of that key."""
        return next(iter(self.client.search_runs([experiment], f"tags.key = '{key}'", max_results=1)), None)

    def link(self, run: Run) -> str:
        """The run's page."""
        return f"{self.address()}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?{TRAINING}"

    def address(self, port: int = DEFAULT_PORT) -> str:
        """Of the server, without user and password, or where `modescope ui` will show a database."""
        if self.artifacts is not None:
            return f"http://127.0.0.1:{port}"
        server = urlsplit(self.uri)
        return server._replace(netloc=server.netloc.rpartition("@")[2]).geturl()

"""The MLflow store: where it is, how it is opened, where studies and runs are in it."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modescope.config.studies import STUDIES
from modescope.errors import say
from modescope.files import root
from modescope.process import uncollected
from modescope.runs.locks import lock, try_lock

with uncollected():
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.entities.model_registry import RegisteredModel
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from sqlalchemy.exc import SQLAlchemyError

    from modescope.mlflow.address import artifact_location, sqlite_file, store_uri, unreachable
    from modescope.mlflow.database import check_schema, create_database, is_missing

# A store that is down, broken, out of space, locked or without its driver.
FAULTS = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ModuleNotFoundError)
TRAINING = "workflowType=machine_learning"  # else MLflow opens its pages for language models
SCORES = {  # what is shown of a run before the rest, and what it is called
    "fid_classifier": "judge's FID",
    "class_consistency": "class consistency",
    "class_share_tv": "TV of class shares",
    "recall": "recall",
    "kl_to_uniform": "KL to uniform",
    "accuracy": "accuracy",
}
NOTE = "mlflow.note.content"
MARK = "modescope.study"  # a tag of every experiment and registered model of ours
PATHS = [  # where MLflow's tables keep paths: table, column
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
]  # fmt: skip

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for every picture


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


@cache
def _open(uri: str, folder: Path) -> "Store":
    return Store(uri, folder)


def names_of(study: str) -> tuple[str, str]:
    """What a study's experiment and registered model are called: the second where another project has the first."""
    return study, f"modescope-{study}"


def study_of(found: Experiment | RegisteredModel) -> str | None:
    """The study whose experiment or registered model it is; None for another project's, whatever its name.

    Those that were made before there was the mark have our description.
    """
    described = found.tags.get(NOTE) or getattr(found, "description", None) or ""
    is_ours = described.startswith(STUDIES.get(found.name, found.name))
    return found.tags.get(MARK) or (found.name if is_ours else None)


class Store:
    """An MLflow tracking store. Experiments are studies, runs are found by the tag `key`.

    Args:
        uri: of a database or a server.
        folder: holds the artifacts, unless `uri` is an SQLite file: then they lie beside that.

    Raises:
        UserError: the database has another schema.
        One of `FAULTS`: it cannot be reached.
    """

    def __init__(self, uri: str, folder: Path):
        self.uri = uri
        self.database = sqlite_file(uri)
        scheme = urlsplit(uri).scheme.partition("+")[0]
        if scheme == "sqlite" and self.database is None:
            raise OSError("a database in memory is gone with its process, name a file")
        place = self.database.parent if self.database else folder
        self.artifacts = place / "mlartifacts" if scheme in DATABASE_ENGINES else None
        if self.database is not None and is_missing(self.database):
            with self.exclusive():
                create_database(self.database, self.artifacts)
        elif self.artifacts is not None:
            check_schema(uri)
        self.client = MlflowClient(uri)

    def exclusive(self) -> AbstractContextManager[Any]:
        """Inside, no other process of ours writes to an SQLite file, which MLflow's locks alone do not keep whole.

        A server needs nothing of the kind: no lock is held while one is asked. Raises TimeoutError.
        """
        return nullcontext() if self.database is None else lock(Path(f"{self.database}.lock"))

    def ours(self) -> dict[str, Experiment]:
        """Study -> experiment, without those of other projects that share the store."""
        found = self.client.search_experiments()
        return {study: each for each in found if (study := study_of(each)) is not None}

    def experiments(self) -> dict[str, str]:
        """Study -> id."""
        return {study: each.experiment_id for study, each in self.ours().items()}

    def experiment(self, study: str) -> str:
        """Id of the study's experiment, created if need be; its pictures are brought to where the store is now."""
        found = self.ours().get(study) or self._new_experiment(study)
        if MARK not in found.tags:
            self.client.set_experiment_tag(found.experiment_id, MARK, study)
        if self.is_misplaced(study, found):
            say(f"{found.artifact_location} had the pictures of `{study}`, they go to {self.artifacts / study} now")
            self.repoint(study, found)
        return found.experiment_id

    def _new_experiment(self, study: str) -> Experiment:
        """Created, or restored where somebody has deleted it; under the second name where the first is taken."""
        for name in names_of(study):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                place = artifact_location(self.artifacts / study) if self.artifacts else None
                tags = {NOTE: STUDIES.get(study, study), MARK: study}
                try:
                    found = self.client.get_experiment(self.client.create_experiment(name, place, tags))
                except MlflowException:  # another process was faster
                    found = self.client.get_experiment_by_name(name)
            if found is not None and study_of(found) == study:
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(found.experiment_id)
                return found
        raise MlflowException(f"the experiments {' and '.join(names_of(study))} are another project's")

    def is_misplaced(self, study: str, found: Experiment) -> bool:
        """Whether the pictures of a study lie elsewhere than beside its SQLite file, which was moved or copied."""
        return self.database is not None and found.artifact_location != artifact_location(self.artifacts / study)

    def repoint(self, study: str, found: Experiment) -> None:
        """Let all artifacts of a study lie beside the database. For use inside `exclusive`.

        MLflow has no call that moves an experiment's artifacts, so this changes the paths in its tables.
        """
        old, new = found.artifact_location, artifact_location(self.artifacts / study)
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for table, column in PATHS:
                connection.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where {column} = ? or substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )

    def find(self, experiment: str, key: str) -> Run | None:
        """The run of that key."""
        return next(iter(self.client.search_runs([experiment], f"tags.key = '{key}'", max_results=1)), None)

    def link(self, run: Run) -> str:
        """The run's page, see `page`."""
        return self.page(f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}")

    def page(self, path: str) -> str:
        """The address of one of MLflow's pages; how to see it while no server shows this store."""
        address = self.address()
        return f"{address}/#/{path}?{TRAINING}" if address else "`modescope ui` shows it"

    def address(self) -> str | None:
        """Of the server, without user and password; of an SQLite file that of its `modescope ui`, None without one."""
        if self.artifacts is None:
            server = urlsplit(self.uri)
            return server._replace(netloc=server.netloc.rpartition("@")[2]).geturl()
        mark = self._mark()
        held = try_lock(mark) if mark is not None and mark.exists() else None
        if held is not None:
            held.close()
            return None
        return mark.read_text(encoding="utf-8") if mark is not None and mark.exists() else None

    @contextmanager
    def shown_at(self, address: str) -> Iterator[None]:
        """Inside, pages of this store are up at `address`, which `address` gives to every process, if it is SQLite's.

        The file that says so is locked as long as it holds, which ends with the process, however that ends.
        """
        mark = self._mark()
        held = None if mark is None else try_lock(mark)
        try:
            if held is not None:
                held.truncate(0)
                held.write(address)
                held.flush()
            yield
        finally:
            if held is not None:
                held.close()

    def _mark(self) -> Path | None:
        return None if self.database is None else Path(f"{self.database}.ui")

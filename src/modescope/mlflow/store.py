"""The MLflow store: where it is, how it is opened, what is sent. The only importer of mlflow."""

import json
import logging
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlparse

# Before the import: no telemetry, and a dead server is given up after seconds instead of minutes.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")

import numpy as np
import PIL.Image

from modescope.errors import UserError
from modescope.files import atomic_path, root
from modescope.mlflow.record import PASSING, Record
from modescope.mlflow.run_page import STUDIES
from modescope.process import uncollected
from modescope.runs.locks import lock

with uncollected():
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils as database_schema
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri
    from mlflow.utils.validation import _validate_model_alias_name, _validate_model_alias_name_reserved
    from sqlalchemy.exc import SQLAlchemyError

FAULTS = (MlflowException, SQLAlchemyError, OSError)  # a store that is down, broken or out of space
METRICS_PER_BATCH, PARAMS_PER_BATCH = 1000, 100  # MLflow's limits
DIGEST_LENGTH = 32  # MLflow takes 36 characters at most
DEFAULT_PORT = 5000
TRAINING = "workflowType=machine_learning"  # else MLflow opens its pages for language models
NOTE, NOTES_BELOW = "mlflow.note.content", "\nWhat you write below this line stays.\n\n---\n"

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

Item = TypeVar("Item")


def store_uri() -> str:
    """`$MLFLOW_TRACKING_URI`, else a database in the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root() / 'mlflow.db'}"


def open_store() -> "Store":
    """The store in use. Raises UserError for a database of another schema, one of `FAULTS` if it cannot be reached."""
    return _open(store_uri(), root())


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
        scheme = urlparse(uri).scheme.partition("+")[0]
        database = Path(uri.partition(":///")[2]).resolve() if scheme == "sqlite" else None
        self.lock_file = Path(f"{database or folder / 'mlflow.db'}.lock")
        self.artifacts = (
            (database.parent if database else folder) / "mlartifacts" if scheme in DATABASE_ENGINES else None
        )
        if self.artifacts is not None:
            with lock(self.lock_file):
                _prepare_database(uri, database, self.artifacts)
        self.client = MlflowClient(uri)

    def experiments(self) -> dict[str, str]:
        """Study -> id."""
        return {
            found.name: found.experiment_id for found in self.client.search_experiments() if found.name != "Default"
        }

    def experiment(self, study: str) -> str:
        """Id of the study's experiment, created if need be."""
        found = self.client.get_experiment_by_name(study)
        if found is None:
            return self.client.create_experiment(
                study, str(self.artifacts / study) if self.artifacts else None, {NOTE: STUDIES.get(study, study)}
            )
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def find(self, experiment: str, key: str) -> Run | None:
        """The run of that key."""
        return next(iter(self.client.search_runs([experiment], f"tags.key = '{key}'", max_results=1)), None)

    def send(self, record: Record, source: str) -> tuple[Run, list[str]]:
        """Give the store what it lacks of a run, and nothing twice.

        Args:
            source: `executed` or `restored`; kept by a run that this call creates.

        Returns:
            the run as it was found or created, and what was sent: some of run, params, tags, metrics, images, texts,
                status.
        """
        with lock(self.lock_file):
            experiment = self.experiment(record.study)
            run = self.find(experiment, record.key)
            created = run is None
            if run is None:
                tags = {**_wanted_tags(record, {}), "source": source}
                run = self.client.create_run(experiment, int(record.started * 1000), tags, record.name)
            sent = {
                "run": created,
                "data": self._send_values(run, record),
                "metrics": self._send_metrics(run, record),
                "images": self._send_images(run, record),
                "texts": self._send_texts(run, record),
                "status": self._send_status(run, record),
            }
        return run, [name for name, done in sent.items() if done]

    def _send_values(self, run: Run, record: Record) -> bool:
        """Parameters that are missing, tags that are missing, differ or hold no longer, the name, and the data set."""
        stored, number = run.data.tags, run.info.run_id
        wanted = _wanted_tags(record, stored)
        params = [Param(name, value) for name, value in record.params.items() if name not in run.data.params]
        tags = [RunTag(name, value) for name, value in wanted.items() if stored.get(name) != value]
        gone = [name for name in PASSING if name in stored and name not in wanted]
        renamed = run.info.run_name != record.name and run.info.run_name.partition(" (")[0] == record.run
        for batch in batches(params, PARAMS_PER_BATCH):
            self.client.log_batch(number, params=batch, synchronous=True)
        if tags:
            self.client.log_batch(number, tags=tags, synchronous=True)
        for name in gone:
            self.client.delete_tag(number, name)
        if renamed:
            self.client.update_run(number, name=record.name)
        if not run.inputs.dataset_inputs:
            self.client.log_inputs(number, [_dataset_input(record)])
        return bool(params or tags or gone or renamed)

    def _send_metrics(self, run: Run, record: Record) -> bool:
        """Points after the last stored step of their curve, and final values that are missing or differ."""
        stored = {metric.key: metric for metric in run.data.to_proto().metrics}
        started, ended, now = (int(seconds * 1000) for seconds in (record.started, record.ended, time.time()))
        metrics = []
        for name, points in record.curves.items():
            last_step, last_time = (stored[name].step, stored[name].timestamp) if name in stored else (-1, started)
            metrics += _spread(name, [point for point in points if point[0] > last_step], last_time, ended)
        metrics += [
            Metric(name, value, now, 0) for name, value in record.finals.items() if run.data.metrics.get(name) != value
        ]
        for batch in batches(metrics, METRICS_PER_BATCH):
            self.client.log_batch(run.info.run_id, metrics=batch, synchronous=True)
        return bool(metrics)

    def _send_images(self, run: Run, record: Record) -> bool:
        """Images whose key and step the run lacks. MLflow's file names are `KEY+step+STEP+...`; the compressed copy
        comes last.
        """
        missing = dict(record.images)
        for file in self.client.list_artifacts(run.info.run_id, "images") if missing else ():
            name, _, step, *_ = Path(file.path).name.split("+")
            if file.path.endswith("+compressed.webp"):
                missing.pop((name, int(step)), None)
        for (name, step), file in missing.items():
            with PIL.Image.open(file) as image:
                self.client.log_image(run.info.run_id, image, key=name, step=step, synchronous=True)
        return bool(missing)

    def _send_texts(self, run: Run, record: Record) -> bool:
        """Texts that are missing; all of them when a run has failed once more."""
        if not record.texts:
            return False
        present = {file.path for file in self.client.list_artifacts(run.info.run_id)}
        failed_now = record.status == "FAILED" != run.info.status
        missing = [file for file in record.texts if file.name not in present or failed_now]
        for file in missing:
            self.client.log_artifact(run.info.run_id, str(file))
        return bool(missing)

    def _send_status(self, run: Run, record: Record) -> bool:
        """The status and the time of the end. A resumed run is RUNNING again."""
        if run.info.status == record.status:
            return False
        if record.status == "RUNNING":
            self.client.update_run(run.info.run_id, "RUNNING")
        else:
            self.client.set_terminated(run.info.run_id, record.status, int(record.ended * 1000))
        return True

    def log_generator(
        self, run: Run, data: Path, image_shape: tuple[int, int, int], loader: str, code: Path, requirements: list[str]
    ) -> str:
        """Log the folder `data` as a model of `run`, loaded by the module `loader` of the package in `code`, which goes
        with it; returns its id.
        """
        import mlflow.pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ColSpec, Schema, TensorSpec

        orders = Schema(
            [ColSpec("long", "n"), ColSpec("long", "label", required=False), ColSpec("long", "seed", required=False)]
        )
        signature = ModelSignature(orders, Schema([TensorSpec(np.dtype(np.uint8), (-1, *image_shape))]))
        model = self.client.create_logged_model(
            run.info.experiment_id, "generator", run.info.run_id, params=run.data.params, model_type="generator"
        )
        options = {
            "loader_module": loader,
            "data_path": str(data),
            "code_paths": [str(code)],
            "pip_requirements": requirements,
        }
        with _use_tracking_uri(self.uri), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would like an example of the input
            Model.log(
                None, mlflow.pyfunc, model_id=model.model_id, run_id=run.info.run_id, signature=signature, **options
            )
        return model.model_id

    def link(self, run: Run) -> str:
        """The run's page."""
        return f"{self.address()}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?{TRAINING}"

    def address(self, port: int = DEFAULT_PORT) -> str:
        """Of the server, or where `modescope ui` will show a database."""
        return self.uri if self.artifacts is None else f"http://127.0.0.1:{port}"


def _prepare_database(uri: str, file: Path | None, artifacts: Path) -> None:
    """Create an SQLite file that is missing; refuse a database of another schema, which MLflow would migrate or trip
    over.
    """
    if file is not None and not (file.exists() and file.stat().st_size):
        with atomic_path(file) as temporary:
            SqlAlchemyStore(f"sqlite:///{temporary}", str(artifacts)).engine.dispose()
        return
    engine = database_schema.create_sqlalchemy_engine(uri)
    try:
        empty, found = database_schema._is_empty_database(engine), database_schema._get_schema_version(engine)
    finally:
        engine.dispose()
    expected = database_schema._get_latest_schema_revision()
    if not empty and found != expected:
        raise UserError(
            f"the MLflow database {uri} has schema {found}, but mlflow {mlflow.__version__} needs {expected}: install the mlflow that wrote it,"
            " or move the database away and run `modescope sync`"
        )


def _wanted_tags(record: Record, stored: Mapping[str, str]) -> dict[str, str]:
    """A run's tags; below its description stands what somebody wrote there."""
    return {**record.tags, NOTE: record.tags[NOTE] + NOTES_BELOW + stored.get(NOTE, "").partition(NOTES_BELOW)[2]}


def _spread(name: str, points: Sequence[tuple[int, float]], begin: int, end: int) -> Iterator[Metric]:
    """New points of a curve, their times (ms) evenly after `begin` up to `end`: files keep steps, not times."""
    for index, (step, value) in enumerate(points, 1):
        yield Metric(name, value, begin + max(0, end - begin) * index // len(points), step)


def _dataset_input(record: Record) -> DatasetInput:
    name, digest = record.dataset
    profile = None if record.num_images is None else json.dumps({"num_rows": record.num_images})
    dataset = Dataset(name=name, digest=digest[:DIGEST_LENGTH], source_type="local", source="{}", profile=profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def batches(items: Sequence[Item], size: int) -> Iterable[Sequence[Item]]:
    """Consecutive parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def check_alias(alias: str) -> None:
    """Raises UserError for an alias that MLflow refuses."""
    try:
        _validate_model_alias_name(alias)
        _validate_model_alias_name_reserved(alias)
    except MlflowException as error:
        raise UserError(f"alias `{alias}` is refused ({' '.join(str(error).split())}): name it best, say") from None


def unreachable(uri: str, error: Exception, command: str = "modescope sync") -> UserError:
    """What to tell the user of a store that cannot be used."""
    reason = " ".join(str(error).split())
    return UserError(
        f"the MLflow store {uri} cannot be used ({reason[:200]}): start it or unset MLFLOW_TRACKING_URI, then run `{command}`"
    )

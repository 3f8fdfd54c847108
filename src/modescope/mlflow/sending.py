"""What is sent of a run: all that the store lacks, and nothing twice."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modescope.mlflow.record import PASSING, Record
from modescope.mlflow.store import NOTE, Store
from modescope.pictures import read_picture
from modescope.process import uncollected

with uncollected():
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

DIGEST_LENGTH = 32  # MLflow takes 36 characters at most
NOTES_BELOW = "\nWhat you write below this line stays.\n\n---\n"


def send(store: Store, record: Record, source: str) -> tuple[Run, list[str]]:
    """Give the store what it lacks of a run.

    Args:
        source: `executed` or `restored`; kept by a run that this call creates.

    Returns:
        the run as it was found or created, and what was sent: some of run, data, metrics, images, texts, status.
    """
    with store.exclusive():
        experiment, client = store.experiment(record.study), store.client
        run = store.find(experiment, record.key)
        is_new = run is None
        if run is None:
            tags = {**_wanted_tags(record, {}), "source": source}
            run = client.create_run(experiment, int(record.started * 1000), tags, record.name)
        sent = {
            "run": is_new,
            "data": _send_values(client, run, record),
            "metrics": _send_metrics(client, run, record),
            "images": _send_images(client, run, record),
            "texts": _send_texts(client, run, record),
            "status": _send_status(client, run, record),
        }
    return run, [name for name, done in sent.items() if done]


def _send_values(client: MlflowClient, run: Run, record: Record) -> bool:
    """Parameters that are missing, tags that are missing, differ or hold no longer, the name, and the data set."""
    stored, number = run.data.tags, run.info.run_id
    wanted = _wanted_tags(record, stored)
    params = [Param(name, value) for name, value in record.params.items() if name not in run.data.params]
    tags = [RunTag(name, value) for name, value in wanted.items() if stored.get(name) != value]
    gone = [name for name in PASSING if name in stored and name not in wanted]
    renamed = run.info.run_name != record.name and run.info.run_name.partition(" (")[0] == record.run
    client.log_batch(number, params=params, tags=tags, synchronous=True)  # in batches that the store takes
    for name in gone:
        client.delete_tag(number, name)
    if renamed:
        client.update_run(number, name=record.name)
    if not run.inputs.dataset_inputs:
        client.log_inputs(number, [_dataset_input(record)])
    return bool(params or tags or gone or renamed)


def _send_metrics(client: MlflowClient, run: Run, record: Record) -> bool:
    """Points after the last stored step of their curve, and final values that are missing or differ."""
    stored = {metric.key: metric for metric in run.data.to_proto().metrics}
    started, ended, now = (int(seconds * 1000) for seconds in (record.started, record.ended, time.time()))
    metrics = []
    for name, points in record.curves.items():
        last_step, last_time = (stored[name].step, stored[name].timestamp) if name in stored else (-1, started)
        metrics += _spread(name, [point for point in points if point[0] > last_step], last_time, ended)
    changed = {name: value for name, value in record.finals.items() if run.data.metrics.get(name) != value}
    metrics += [Metric(name, value, now, 0) for name, value in changed.items()]
    client.log_batch(run.info.run_id, metrics=metrics, synchronous=True)
    return bool(metrics)


def _send_images(client: MlflowClient, run: Run, record: Record) -> bool:
    """Images whose key and step the run lacks.

    MLflow names the files `KEY+step+STEP+...` and writes the compressed copy last, so that one says that all are there.
    """
    missing = dict(record.images)
    for file in client.list_artifacts(run.info.run_id, "images") if missing else ():
        name, _, step, *_ = Path(file.path).name.split("+")
        if file.path.endswith("+compressed.webp"):
            missing.pop((name, int(step)), None)
    for (name, step), file in missing.items():
        client.log_image(run.info.run_id, read_picture(file), key=name, step=step, synchronous=True)
    return bool(missing)


def _send_texts(client: MlflowClient, run: Run, record: Record) -> bool:
    """Texts that are missing; all of them when a run has failed once more."""
    if not record.texts:
        return False
    present = {file.path for file in client.list_artifacts(run.info.run_id)}
    failed_now = record.status == "FAILED" != run.info.status
    missing = [file for file in record.texts if file.name not in present or failed_now]
    for file in missing:
        client.log_artifact(run.info.run_id, str(file))
    return bool(missing)


def _send_status(client: MlflowClient, run: Run, record: Record) -> bool:
    """The status and the time of the end. A resumed run is set back to RUNNING."""
    if run.info.status == record.status:
        return False
    if record.status == "RUNNING":
        client.update_run(run.info.run_id, "RUNNING")
    else:
        client.set_terminated(run.info.run_id, record.status, int(record.ended * 1000))
    return True


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

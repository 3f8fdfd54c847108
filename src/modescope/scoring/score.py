"""Scores of given images: by a study's judge, against its reference, beside its rows, filed as a run."""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from modescope.config import Evaluation, Params
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.reference import REFERENCE, load_reference
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.pictures import grid
from modescope.report.brief import brief, measured, metrics_file
from modescope.report.tables import Table
from modescope.runs.folder import WEIGHTS_FILE
from modescope.runs.key import describe_run, work_folder
from modescope.runs.listing import MODELS, SCORED
from modescope.runs.log import RunLog
from modescope.scoring.images import Given
from modescope.scoring.place import Place
from modescope.training.device import training_device

SHOWN = 64  # images on the sheet that is filed


class Scored(NamedTuple):
    """metrics: as in metrics/STUDY/RUN.json; table: beside the study's rows."""

    metrics: dict[str, Any]
    table: Table


def score(given: Given, place: Place, name: str, params: Params) -> Scored:
    """Measure images, write metrics/STUDY/NAME.json, and file a run NAME.

    Raises UserError for too few images, a name that is taken, or a judge or reference that is not there.
    """
    refuse_name(name, place)
    settings, device, began = params.evaluation, training_device(), time.perf_counter()
    refuse_few(given, settings)
    extractors = load_extractors(settings.extractors, place.judge, device)
    reference = load_reference(place.reference, extractors)
    per_class, warnings = place.per_class, warnings_of(given, settings)
    if given.labels is not None and per_class is not None:
        counts = class_counts(given.labels, len(place.described()["classes"]))
        if counts.min() < per_class:
            warnings.append(f"no diversity within classes: it takes {per_class} images of each, found {counts.min()}")
            per_class = None
    metrics = evaluate_images(given.images, reference, extractors, settings, given.labels, per_class)
    if warnings:
        metrics["warnings"] = metrics.get("warnings", []) + warnings
    file_run(given, place, name, params, metrics, time.perf_counter() - began)
    rows = {name: metrics} | measured(place.study, place.rows)
    notes = [f"Warning: {warning}." for warning in metrics.get("warnings", ())]
    return Scored(metrics, brief(f"{name}, scored in {place.study}", rows, caption(place, rows), notes))


def caption(place: Place, rows: Mapping[str, Any]) -> str:
    """What stands behind the table, and which rows it lacks."""
    missing = [run for run in place.rows if run not in rows]
    lacking = f" Not measured here: {', '.join(missing)}." if missing else ""
    return f"By {place.judge.name}, against {place.reference}; below it the study's own rows.{lacking}"


def file_run(given: Given, place: Place, name: str, params: Params, metrics: Mapping[str, Any], seconds: float) -> None:
    """A run of its own: a folder in data/scored/, metrics beside those of the study's rows, a page in MLflow."""
    files = {f"images/{number}": file for number, file in enumerate(given.files)}
    info = describe_run(
        module="modescope.scoring.score",
        study=place.study,
        run=name,
        model="given",
        params={**params.subset("threads", "evaluation"), "labels": given.labels is not None},
        inputs=files | {"judge": place.judge / WEIGHTS_FILE, "reference": place.reference / REFERENCE},
        data=place.described(),
        hardware={"device": training_device().type, "precision": "fp32"},
    )
    out = SCORED / place.study / name
    with RunLog(info, work_folder(info), push) as log:
        log.image("samples", grid(given.images[:SHOWN]), 0)
        log.finish(out, seconds=seconds)
    write_json(metrics_file(place.study, name), metrics)
    push(out, metrics)


def refuse_name(name: str, place: Place) -> None:
    """Raises UserError for a name that is none, or that a run of the pipeline has."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name, re.ASCII):
        raise UserError(f"`{name}` is no name for a run (letters, digits, `.`, `_`, `-`): say another with --name")
    is_given = (SCORED / place.study / name).exists()
    taken = metrics_file(place.study, name).exists() and not is_given
    if taken or name in place.rows.values() or any(MODELS.glob(f"*/{name}")):
        raise UserError(f"{name} is a run of the pipeline's own: say another name with --name")


def refuse_few(given: Given, settings: Evaluation) -> None:
    """Raises UserError for fewer images than the metrics take."""
    least = max(settings.kid_subset_size, settings.neighbours + 1, settings.is_splits**2)
    if len(given.images) < least:
        best = f"{settings.num_samples:,} are as many as our rows have"
        raise UserError(f"{len(given.images)} images are too few: the metrics take {least:,} at least, {best}")


def warnings_of(given: Given, settings: Evaluation) -> list[str]:
    """What makes the scores differ from those of our rows, but for the images."""
    count, ours = len(given.images), settings.num_samples
    warned = [] if count == ours else [f"{count:,} images beside {ours:,} of our rows: FID falls with their number"]
    different = len({image.tobytes() for image in given.images.numpy()})
    if different < count:
        warned.append(f"{count - different:,} of the images are exact copies of others")
    return warned + [f"left out: {line}" for line in given.skipped]

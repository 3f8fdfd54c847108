"""Where images are measured: the judge, the reference and the rows of a study, as dvc.yaml measures those."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modescope.config import Params
from modescope.errors import UserError
from modescope.files import read_json
from modescope.report.brief import FLOOR
from modescope.runs.folder import RUN_FILE


@dataclass(frozen=True)
class Place:
    """A study, or a split of it.

    Attributes:
        study: of its rows, in metrics/ and in MLflow.
        judge, reference: folders.
        rows: name in print -> run, the floor last.
        shape: (C, H, W) of its images.
        per_class: how many images of each class are measured class by class, if any.
    """

    study: str
    judge: Path
    reference: Path
    rows: Mapping[str, str]
    shape: tuple[int, int, int]
    per_class: int | None = None

    def described(self) -> dict:
        """The reference's data set, its classes and its split. Raises UserError where there is none yet."""
        data = read_json(self.reference / RUN_FILE, data=dict)["data"]
        return {name: data[name] for name in ("name", "classes", "split")}


def find_place(name: str, params: Params) -> Place:
    """The place that --study names. Raises UserError with those there are."""
    study, _, split = name.partition("/")
    if name == "cgan":
        rows = {row: row for row in params.cgan.rows} | {FLOOR: "real-digits"}
        judge, reference = Path("models/classifiers/grey-judge"), Path("data/reference-grey/digits")
        return Place(study, judge, reference, rows, (1, 28, 28), params.cgan.per_class_samples)
    if study == "imbalance" and split in params.imbalance.splits:
        runs = [f"{model}-{split}" for model in params.imbalance.evaluated]
        rows = {run: run for run in runs} | {FLOOR: f"real-{split}"}
        return Place(study, Path("models/classifiers/rgb-judge"), Path("data/reference", split), rows, (3, 32, 32))
    known = ", ".join(["cgan", *(f"imbalance/{each}" for each in params.imbalance.splits)])
    raise UserError(f"--study {name} is unknown: there are {known}")

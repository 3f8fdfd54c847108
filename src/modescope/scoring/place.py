"""Where images are measured: the judge, the reference and the rows of a study, as dvc.yaml measures those."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modescope.config import Params, results_folder
from modescope.errors import UserError
from modescope.files import read_json
from modescope.report.brief import FLOOR, metrics_file
from modescope.report.results import Folders, Results, Run
from modescope.runs.folder import RUN_FILE, read_run
from modescope.runs.listing import INSIDE, MODELS


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
        runs = [f"{model}-{split}" for model in params.imbalance.measured(split)]
        rows = {run: run for run in runs} | {FLOOR: f"real-{split}"}
        return Place(study, Path("models/classifiers/rgb-judge"), Path("data/reference", split), rows, (3, 32, 32))
    known = ", ".join(["cgan", *(f"imbalance/{each}" for each in params.imbalance.splits)])
    raise UserError(f"--study {name} is unknown: there are {known}")


@dataclass(frozen=True)
class Inside:
    """A look inside a run, where dvc.yaml has the likes of it: its own folder, its metrics, its judge."""

    study: str
    slot: str
    folder: Path
    metrics: Path
    judge: Path

    @property
    def arguments(self) -> tuple[Path, ...]:
        """What the stage `inside` takes after the run."""
        splits = Path("data", "splits-grey" if self.slot == "grey" else "splits")
        features = Path("data/features", self.slot)
        return Path("data", self.slot), splits, self.judge, features, self.folder, self.metrics

    def write_page(self, params: Params, out: Path) -> Path:
        """Write its page to the folder `out` and return the file. Raises UserError if the look is not finished."""
        from modescope.report.inside import write_page

        folders = Folders(results_folder(Path()) / "metrics", MODELS, Path("data"))
        info, name = read_run(self.folder), self.judge.name
        accuracy = folders.metrics_file("classifiers", name)
        found = Run(self.study, info["run"], self.folder, info, read_json(self.metrics))
        judge = Run("classifiers", name, self.judge, read_run(self.judge), read_json(accuracy))
        return write_page(found, Results(params, folders, {name: judge}), name, self.slot, out)


def looked_at(run: Path) -> Inside:
    """The look inside the run of the folder `run`. Raises UserError for one whose images the judge cannot see."""
    if read_run(run)["model"] == "stacked":
        raise UserError(f"{run.name} draws digits in three channels, of which the judge sees one: take another run")
    study, slot = run.parent.name, "grey" if run.parent.name == "cgan" else "rgb"
    folder, metrics = INSIDE / study / run.name, metrics_file(study, f"inside-{run.name}")
    return Inside(study, slot, folder, metrics, MODELS / "classifiers" / f"{slot}-judge")

"""What a study's page is made from: its runs, with values from MLflow that agree with the metrics files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml

from modescope.config import Params, profile_name
from modescope.dotted import numbers
from modescope.errors import UserError
from modescope.files import read_json
from modescope.runs.folder import RUN_FILE

INSIDE = "inside-"  # begins the name of a look inside a run
REPORTED = Path(__file__).with_name("reported_results.yaml")

# (study, keys) -> final values of every key that the store knows, by metric
Reader = Callable[[str, list[str]], Mapping[str, Mapping[str, float]]]
# study -> run -> folder of its run.json
Expected = Mapping[str, Mapping[str, Path]]


@dataclass(frozen=True)
class Folders:
    """Where the pipeline's files lie."""

    metrics: Path
    models: Path
    data: Path

    def metrics_file(self, study: str, run: str) -> Path:
        """A run's metrics."""
        return self.metrics / study / f"{run}.json"

    def page(self, study: str) -> Path:
        """Where a study's page lies."""
        return self.metrics.parent / "reports" / study


@dataclass(frozen=True)
class Run:
    """A run that belongs in the report: its folder, what run.json says, and its final values."""

    study: str
    name: str
    folder: Path
    info: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def classes(self) -> list[str]:
        """All classes of the data set, in its order."""
        return self.info["data"]["classes"]

    @property
    def cells(self) -> dict[str, Any]:
        """What a table's row shows of it: its name as `run`, its collapse, and the values that are no lists."""
        facts = {"run": self.name, "collapsed": self.info.get("collapsed_at_step")}
        return facts | {name: value for name, value in self.values.items() if not isinstance(value, list)}


@dataclass(frozen=True)
class Results:
    """A study's rows, bound to what is measured of them. Each study has a subclass that says which rows it has.

    Attributes:
        runs: by name; empty until they are read.
    """

    params: Params
    folders: Folders
    runs: Mapping[str, Run] = field(default_factory=dict)

    def expected(self) -> Expected:
        """Every run that the study's page shows, by the study that it belongs to, with its folder."""
        raise NotImplementedError

    def inside(self, study: str) -> dict[str, Path]:
        """The looks inside runs of a study, by name, with their folders."""
        return {INSIDE + run: self.folders.data / "inside" / study / run for run in self.params.inside.of(study)}

    @cached_property
    def profile(self) -> str:
        """The profile whose values the parameters have."""
        return profile_name(self.params)

    @cached_property
    def reported(self) -> Mapping[str, Any]:
        """What the two reports print."""
        return yaml.safe_load(REPORTED.read_text(encoding="utf-8"))

    def read(self, read_final: Reader) -> Self:
        """With every expected run; `read_final` is the tracker's.

        Raises UserError where a run is missing or unfinished, or MLflow and a metrics file disagree about a number.
        """
        self.refuse_disagreement(read_final, complete=True)
        return replace(self, runs={run.name: run for study in self.expected() for run in self._read(study)})

    def refuse_disagreement(self, read_final: Reader, complete: bool) -> None:
        """Hold what MLflow has of the expected runs against their metrics files, exactly.

        Args:
            complete: whether a number that MLflow lacks is refused, too.

        Raises:
            UserError: names the run, the metric and both values.
        """
        for study in self.expected():
            runs = list(self._read(study))
            tracked = read_final(study, [run.info["key"] for run in runs])
            for run in runs:
                file = self.folders.metrics_file(study, run.name)
                _check_agreement(run, tracked.get(run.info["key"], {}), file, complete)

    def _read(self, study: str) -> Iterable[Run]:
        for name, folder in self.expected()[study].items():
            info = _read(folder / RUN_FILE, f"run {name} is missing", key=str, status=str, params=dict, data=dict)
            if info["status"] != "finished":
                raise UserError(f"run {name} is {info['status']}, not finished: run `dvc repro`")
            values = _read(self.folders.metrics_file(study, name), f"run {name} has no metrics")
            yield Run(study, name, folder, info, values)


def _check_agreement(run: Run, tracked: Mapping[str, float], file: Path, complete: bool) -> None:
    for metric, value in numbers(run.values, run.classes).items():
        said = f"run {run.name}: {metric} is {value!r} in {file}"
        if metric in tracked and tracked[metric] != value:
            mend = "`dvc repro -f` its stage measures it anew, `modescope sync` believes the file"
            raise UserError(f"{said} but {tracked[metric]!r} in MLflow: {mend}")
        if metric not in tracked and complete:
            raise UserError(f"{said} and missing in MLflow: run `modescope sync`")


def _read(file: Path, without: str, **wanted: type) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"{without} ({file}): run `dvc repro`")
    return read_json(file, **wanted)


def distinct(values: Sequence[str]) -> str:
    """Different values in their first order, as one text."""
    return ", ".join(dict.fromkeys(values))

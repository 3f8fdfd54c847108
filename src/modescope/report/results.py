"""What the report is made from: every expected run's files, with values read from MLflow and held against the metrics
files.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from modescope.config import Params, profile_name
from modescope.data.splits import Split
from modescope.dotted import numbers
from modescope.errors import UserError
from modescope.files import read_json
from modescope.runs.folder import RUN_FILE

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
        return self.metrics / study / f"{run}.json"


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
    def scalars(self) -> dict[str, Any]:
        """The values that are no lists."""
        return {name: value for name, value in self.values.items() if not isinstance(value, list)}


@dataclass(frozen=True)
class Results:
    """All that tables and figures are drawn from. `runs` is keyed by run name."""

    params: Params
    profile: str
    folders: Folders
    runs: Mapping[str, Run]
    reported: Mapping[str, Any]

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """Study 1's splits by name."""
        return {
            name: Split.load(self.folders.data / "splits" / f"{name}.json") for name in self.params.imbalance.splits
        }


def load_results(params: Params, folders: Folders, expected: Expected, read_final: Reader) -> Results:
    """Read every expected run.

    Args:
        read_final: the tracker's `read_final`.

    Raises:
        UserError: a run is missing or unfinished, or MLflow and a metrics file disagree about a number.
    """
    refuse_disagreement(folders, expected, read_final, complete=True)
    runs = {run.name: run for study, places in expected.items() for run in _read_study(study, places, folders)}
    return Results(params, profile_name(params), folders, runs, yaml.safe_load(REPORTED.read_text()))


def refuse_disagreement(folders: Folders, expected: Expected, read_final: Reader, complete: bool) -> None:
    """Hold what MLflow has of the expected runs against their metrics files, exactly.

    Args:
        complete: whether a number that MLflow lacks is refused, too.

    Raises:
        UserError: names the run, the metric and both values.
    """
    for study, places in expected.items():
        runs = list(_read_study(study, places, folders))
        tracked = read_final(study, [run.info["key"] for run in runs])
        for run in runs:
            _check_agreement(run, tracked.get(run.info["key"], {}), folders.metrics_file(study, run.name), complete)


def _check_agreement(run: Run, tracked: Mapping[str, float], file: Path, complete: bool) -> None:
    for metric, value in numbers(run.values, run.classes).items():
        if metric not in tracked:
            if complete:
                raise UserError(
                    f"run {run.name}: {metric} is {value!r} in {file} and missing in MLflow: run `modescope sync`"
                )
        elif tracked[metric] != value:
            both = f"{metric} is {value!r} in {file} but {tracked[metric]!r} in MLflow"
            raise UserError(
                f"run {run.name}: {both}: `dvc repro -f` its stage measures again, `modescope sync` believes the file"
            )


def _read_study(study: str, places: Mapping[str, Path], folders: Folders) -> Iterable[Run]:
    for name, folder in places.items():
        yield Run(study, name, folder, _read_info(name, folder), _read_values(name, folders.metrics_file(study, name)))


def _read_info(name: str, folder: Path) -> dict[str, Any]:
    file = folder / RUN_FILE
    if not file.is_file():
        raise UserError(f"run {name} is missing ({file}): run `dvc repro`")
    info = read_json(file)
    if info["status"] != "finished":
        raise UserError(f"run {name} is {info['status']}, not finished: run `dvc repro`")
    return info


def _read_values(name: str, file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"run {name} has no metrics ({file}): run `dvc repro`")
    return read_json(file)


def distinct(values: Sequence[str]) -> str:
    """Different values in their first order, as one text."""
    return ", ".join(dict.fromkeys(values))

"""Which trainings study 3 has, which of them the figures show and how, and what report 2 printed for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modescope.config import CganConfig, Params
from modescope.report.figures import Look
from modescope.report.results import Expected, Folders, Results, Run
from modescope.report.scores import CLASSIFIERS, GREY_JUDGE
from modescope.report.seeds import runs_by_seed

STUDY = "cgan"
LABELLED, UNLABELLED = "cgan", "dcgan"  # modes
MODES = {LABELLED: Look("with labels (cgan)", "#0072b2", ""), UNLABELLED: Look("without labels (dcgan)", "#e69f00", "")}
REAL, STACKED_REAL = "real-digits", "stacked-real"
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442")  # of losses
OURS = "#e69f00"


@dataclass(frozen=True)
class Row:
    """One training on digits: its name in params.yaml and its settings."""

    name: str
    config: CganConfig
    is_ours: bool

    @property
    def label(self) -> str:
        """Its name among rows that have labels: a published row's is its loss."""
        return self.name if self.is_ours else self.config.loss

    @property
    def has_labels(self) -> bool:
        return self.config.mode == LABELLED


@dataclass(frozen=True)
class Extractor:
    """Whose features a figure's FID and KID use: the suffix of the metrics' names, and a name for print."""

    suffix: str
    name: str

    @property
    def fid(self) -> str:
        return f"fid{self.suffix}"

    @property
    def kid(self) -> str:
        return f"kid{self.suffix}"

    @property
    def digits(self) -> int:
        """Decimals of a FID: the judge's are small."""
        return 3 if self.suffix else 2


def all_rows(params: Params) -> list[Row]:
    """The report's rows, then ours."""
    return [Row(name, params.cgan.config(name), name in params.cgan.ours) for name in params.cgan.rows]


def published(params: Params, mode: str) -> list[Row]:
    """The report's rows of a mode, one for each loss."""
    return [row for row in all_rows(params) if row.config.mode == mode and not row.is_ours]


def labelled_rows(params: Params) -> list[Row]:
    return [row for row in all_rows(params) if row.has_labels]


def best(results: Results) -> Row | None:
    """The most class-consistent row of ours."""
    ours = [row for row in labelled_rows(results.params) if row.is_ours]
    return max(ours, key=lambda row: run(results, row).values["class_consistency"], default=None)


def shown(results: Results) -> list[Row]:
    """The rows with labels that figures compare: the report's and our best."""
    ours = best(results)
    return published(results.params, LABELLED) + ([ours] if ours else [])


def look(params: Params, row: Row) -> Look:
    """A loss has one colour everywhere."""
    colour = OURS if row.is_ours else COLOURS[list(params.cgan.recipes).index(row.config.loss) % len(COLOURS)]
    return Look(row.label, colour, "")


def extractors(params: Params) -> list[Extractor]:
    """The judge, and Inception if it is asked for."""
    asked = "inception" in params.evaluation.extractors
    return [
        Extractor("_classifier", "the judge's features"),
        *([Extractor("", "Inception's features")] if asked else []),
    ]


def base_config(params: Params, row: Row) -> CganConfig:
    """The settings of the published row with the mode and the loss of `row`."""
    return params.cgan.resolve({"mode": row.config.mode, "loss": row.config.loss}, "cgan")


def stacked_run(loss: str) -> str:
    return f"stacked-{loss}"


def again(params: Params) -> dict[str, dict[int, str]]:
    """Rows that are trained with further seeds -> their runs by seed."""
    return runs_by_seed(params, params.seeds.rows)


def expected_runs(params: Params, folders: Folders) -> Expected:
    """Every row, the trainings on stacked digits, real images of both, and the judge, with their folders."""
    repeated = (run for seeds in again(params).values() for run in seeds.values())
    trained = (*params.cgan.rows, *repeated, *map(stacked_run, params.stacked.losses))
    reference = folders.data / "reference-grey"
    return {
        STUDY: {name: folders.models / STUDY / name for name in trained}
        | {REAL: reference / "digits", STACKED_REAL: reference / "stacked"},
        CLASSIFIERS: {GREY_JUDGE: folders.models / CLASSIFIERS / GREY_JUDGE},
    }


def run(results: Results, row: Row) -> Run:
    return results.runs[row.name]


def floor(results: Results) -> Run:
    """Real test digits, measured as every row."""
    return results.runs[REAL]


def digits(results: Results) -> list[str]:
    """The classes as figures: 0 to 9."""
    return [str(index) for index in range(len(floor(results).classes))]


def printed(results: Results) -> Mapping[str, Any]:
    """Report 2's numbers, empty where the data is not its MNIST."""
    return results.reported[STUDY] if floor(results).info["data"]["name"] == "mnist" else {}


def reported(results: Results, row: Row) -> dict[str, float]:
    """What report 2 printed for a row, empty for ours; the consistency as a part of 1."""
    line = {} if row.is_ours else dict(printed(results).get(row.config.mode, {}).get(row.config.loss, {}))
    if "class_consistency" in line:
        line["class_consistency"] /= 100
    return line


def reported_pixel_std(results: Results, row: Row) -> Sequence[float] | None:
    """Its column of report 2's table 8.1."""
    return None if row.is_ours else printed(results).get("pixel_std", {}).get(row.config.loss)

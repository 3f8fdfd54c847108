"""Which runs study 3 has, which of them the figures show and how, and what report 2 printed for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from modescope.config import CganConfig, Params
from modescope.report.claims import CONSISTENCY
from modescope.report.figures import Look
from modescope.report.results import Expected, Results, Run
from modescope.report.scores import CLASSIFIERS, GREY_JUDGE
from modescope.report.seeds import Seeds
from modescope.report.texts import Texts

TEXTS = Texts(Path(__file__).parent)
NAME = "cgan"
LABELLED, UNLABELLED = "cgan", "dcgan"  # modes
MODES = {LABELLED: Look("with labels (cgan)", "#0072b2", ""), UNLABELLED: Look("without labels (dcgan)", "#e69f00", "")}
REAL, STACKED_REAL = "real-digits", "stacked-real"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FIGURES = {name: str(figure) for figure, name in enumerate(DIGITS)}
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442")  # of losses
OURS = "#e69f00"
CRITIC = "critic"  # a discriminator that does several steps for each of the generator's


@dataclass(frozen=True)
class Row:
    """A training run on digits: its name in params.yaml and its settings."""

    results: "CganRows" = field(repr=False, compare=False)
    name: str
    config: CganConfig
    is_ours: bool

    @property
    def label(self) -> str:
        """Its name among rows that have labels: a published row's is its loss."""
        return self.name if self.is_ours else self.config.loss

    @property
    def has_labels(self) -> bool:
        """Whether its generator takes a label."""
        return self.config.mode == LABELLED

    @property
    def look(self) -> Look:
        """A loss has one colour everywhere."""
        place = list(self.results.params.cgan.recipes).index(self.config.loss) % len(COLOURS)
        return Look(self.label, OURS if self.is_ours else COLOURS[place], "")

    @property
    def run(self) -> Run:
        """Its run."""
        return self.results.runs[self.name]

    @property
    def values(self) -> Mapping[str, Any]:
        """What is measured of it."""
        return self.run.values

    def printed(self) -> dict[str, float]:
        """What report 2 printed for it, empty for ours; the consistency as a part of 1."""
        found = self.results.printed.get(self.config.mode, {}).get(self.config.loss, {})
        line = {} if self.is_ours else dict(found)
        return line | ({"class_consistency": line["class_consistency"] / 100} if "class_consistency" in line else {})

    def printed_pixel_std(self) -> Sequence[float] | None:
        """Its column of report 2's table 8.1."""
        return None if self.is_ours else self.results.printed.get("pixel_std", {}).get(self.config.loss)


class Extractor(NamedTuple):
    """Whose features a figure's scores use: the names of FID and KID among the metrics, its own, a FID's decimals."""

    fid: str
    kid: str
    name: str
    digits: int


def extractors(params: Params) -> list[Extractor]:
    """The judge, whose FIDs are small, and Inception if it is asked for."""
    inception = [Extractor("fid", "kid", "Inception's features", 2)]
    judge = Extractor("fid_classifier", "kid_classifier", "the judge's features", 3)
    return [judge, *(inception if "inception" in params.evaluation.extractors else [])]


class CganRows(Results):
    """The report's rows and ours, and the runs on stacked digits."""

    @cached_property
    def rows(self) -> list[Row]:
        """The report's rows, then ours."""
        cgan = self.params.cgan
        return [Row(self, name, cgan.config(name), name in cgan.ours) for name in cgan.rows]

    def published(self, mode: str) -> list[Row]:
        """The report's rows of a mode, one for each loss."""
        return [row for row in self.rows if row.config.mode == mode and not row.is_ours]

    @property
    def labelled(self) -> list[Row]:
        """The rows with labels."""
        return [row for row in self.rows if row.has_labels]

    @cached_property
    def best(self) -> Row | None:
        """The most class-consistent row of ours."""
        ours = [row for row in self.labelled if row.is_ours]
        return max(ours, key=lambda row: CONSISTENCY.value(row.run), default=None)

    @property
    def shown(self) -> list[Row]:
        """The rows with labels that figures compare: the report's and our best."""
        return self.published(LABELLED) + ([self.best] if self.best else [])

    @property
    def started(self) -> list[tuple[Row, Row]]:
        """Rows that start as report 2's text says, each with its loss's published row, which does not."""
        published = {row.config.loss: row for row in self.published(LABELLED)}
        texts = [row for row in self.labelled if row.is_ours and row.config.initialization == "text"]
        return [(row, published[row.config.loss]) for row in texts if row.config.loss in published]

    @property
    def stacked(self) -> dict[str, Run]:
        """Loss -> its run on stacked digits."""
        return {loss: self.runs[f"stacked-{loss}"] for loss in self.params.stacked.losses}

    @property
    def seeds(self) -> Seeds:
        """The rows that are trained with several seeds."""
        return Seeds(self, [self.params.seeds.rows])

    def expected(self) -> Expected:
        """Every row, the runs on stacked digits, real images of both, and the judge."""
        stacked = [f"stacked-{loss}" for loss in self.params.stacked.losses]
        trained = (*self.params.cgan.rows, *self.seeds.further, *stacked)
        models, reference = self.folders.models, self.folders.data / "reference-grey"
        real = {REAL: reference / "digits", STACKED_REAL: reference / "stacked"}
        return {
            NAME: {name: models / NAME / name for name in trained} | real | self.inside(NAME),
            CLASSIFIERS: {GREY_JUDGE: models / CLASSIFIERS / GREY_JUDGE},
        }

    @property
    def floor(self) -> Run:
        """Real test digits, measured as every row."""
        return self.runs[REAL]

    @property
    def num_modes(self) -> int:
        """Of three stacked images."""
        return len(self.floor.classes) ** 3

    @property
    def digits(self) -> list[str]:
        """The classes, digits as figures."""
        return [FIGURES.get(name, name) for name in self.floor.classes]

    @property
    def words(self) -> Mapping[str, str]:
        """What texts call the data's images and classes: digits, if they are."""
        are_digits = set(self.floor.classes) <= set(DIGITS)
        return dict.fromkeys(("images", "kinds"), "digits") if are_digits else {"images": "images", "kinds": "classes"}

    @property
    def printed(self) -> Mapping[str, Any]:
        """Report 2's numbers, empty where the data is not its MNIST."""
        return self.reported[NAME] if self.floor.info["data"]["name"] == "mnist" else {}

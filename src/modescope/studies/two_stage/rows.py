"""Which runs study 2 has, which of them stand for an architecture, and which line of table 5 each repeats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from pandas import DataFrame

from modescope.config import GANConfig, Stage1Config
from modescope.errors import UserError
from modescope.report.claims import grouped
from modescope.report.figures import Look
from modescope.report.results import Expected, Results, Run
from modescope.report.scores import CLASSIFIERS, GUIDE, JUDGE
from modescope.report.texts import Texts
from modescope.report.trainings import curve
from modescope.training.collapse import POINTS, SPREAD

TEXTS = Texts(Path(__file__).parent)
NAME, STUDY_1 = "two-stage", "imbalance"
STAGE1, HYBRID = "stage 1", "hybrid"
ADVERSARIAL, CLASS, WHOLE = "train/g_adversarial_gradient", "train/g_class_gradient", "train/g_gradient"
COSINE = "cosine"
LOOKS = {
    STAGE1: Look("stage 1", "#59636e", "D"),
    "A": Look("A: generator", "#d55e00", "o"),
    "B": Look("B: FF output", "#0072b2", "s"),
    "C": Look("C: conv output", "#009e73", "^"),
    "D": Look("D: input + output", "#cc79a7", "P"),
}
# Our names of table 5's lines, in its order.
TABLE_5 = (
    *("stage1", "a-0.1-n5", "a-0.5-n20", "a-1.0-n50"),
    *("b-ff-0.1", "b-ff-0.5", "b-ff-1.0", "b-ff-0.5-n50"),
    *("c-conv-0.1", "c-conv-0.5", "c-conv-1.0", "c-conv256"),
    *("d-ff-0.1", "d-ff-0.5", "d-ff-1.0", "d-conv-0.5", "d-ff-0.5-again", "d-ff-0.5-batch256"),
)


@dataclass(frozen=True)
class Row:
    """A training run: its name in params.yaml, the stage 1 that it starts from (a stage 1: itself), its settings."""

    results: "TwoStageRows" = field(repr=False, compare=False)
    name: str
    start: str
    settings: Stage1Config

    @property
    def stage2(self) -> GANConfig | None:
        """The settings of a stage 2, None for a stage 1."""
        return self.settings if isinstance(self.settings, GANConfig) else None

    @property
    def run_name(self) -> str:
        """The name of its run."""
        return self.name if self.stage2 is None else f"stage2-{self.name}"

    @property
    def group(self) -> str:
        """STAGE1 or the architecture's letter."""
        return STAGE1 if self.stage2 is None else self.stage2.architecture

    @property
    def title(self) -> str:
        """Its name, with the architecture for a stage 2."""
        return self.name if self.stage2 is None else f"{self.group}: {self.name}"

    @property
    def has_classes(self) -> bool:
        """Whether its prior has components, one for each class."""
        return self.settings.prior != "normal"

    @property
    def is_guided(self) -> bool:
        """Whether a class loss steers it."""
        return self.stage2 is not None and self.stage2.ce_loss_weight > 0

    def all_but(self, setting: str) -> dict[str, Any]:
        """All settings but one: rows that are equal in them differ in that one alone."""
        return self.settings.model_dump(exclude={setting})

    @property
    def run(self) -> Run:
        """Its run."""
        return self.results.runs[self.run_name]

    @property
    def start_row(self) -> "Row":
        """The stage 1 that it starts from."""
        return next(row for row in self.results.stage1_rows if row.name == self.start)

    @property
    def values(self) -> Mapping[str, Any]:
        """What is measured of it."""
        return self.run.values

    def gradient_curve(self) -> DataFrame:
        """Norms of the gradients at a batch's images by step, and COSINE between the two terms' gradients.

        The cosine follows from the norms by the law of cosines, |a + c|² = |a|² + |c|² + 2 |a| |c| cos: exact where a
        point of the curve is one update, and close where it is a mean over several.
        """
        table = curve(self.run, (ADVERSARIAL, CLASS, WHOLE))
        twice_the_product = table[WHOLE] ** 2 - table[ADVERSARIAL] ** 2 - table[CLASS] ** 2
        return table.assign(**{COSINE: (twice_the_product / (2 * table[ADVERSARIAL] * table[CLASS])).clip(-1, 1)})

    def gradient_facts(self) -> tuple[float, float]:
        """Over training: the length of the class term's gradient over the adversarial one's, and their cosine."""
        means = self.gradient_curve().mean()
        return float(means[CLASS] / means[ADVERSARIAL]), float(means[COSINE])

    @cached_property
    def variety(self) -> float:
        """How far images drawn for one class lie apart at the end of training, over how far real ones of any class do.

        The mean of the curve's last `POINTS` points (`training/collapse.py`); NaN for a run that was given its weights.
        """
        return float(curve(self.run, [SPREAD])[SPREAD].dropna().tail(POINTS).mean())

    def printed(self) -> Mapping[str, float]:
        """The scores of its line of table 5, empty if there is none, or its settings or the data differ."""
        if self.name not in TABLE_5 or not self.results.floor.info["data"]["name"].startswith("cifar10"):
            return {}
        line = self.results.reported["two_stage"][TABLE_5.index(self.name)]
        if self.stage2 is not None:
            wanted = {"architecture": line["arch"], "ce_loss_weight": line["lambda"], "n_gen": line["n"]}
            if any(value is not None and getattr(self.stage2, key) != value for key, value in wanted.items()):
                return {}
        return {score: line[score] for score in ("is_mean", "is_std", "fid")}


def most_consistent(rows: list[Row]) -> list[Row]:
    """Of every architecture the row whose images the judge sees most often as asked."""
    groups = grouped(rows, lambda row: row.group)
    return [max(group, key=lambda row: row.values["class_consistency"]) for group in groups.values()]


def nearest(rows: list[Row]) -> list[Row]:
    """Of every architecture the row with the lowest FID of the judge's features."""
    groups = grouped(rows, lambda row: row.group)
    return [min(group, key=lambda row: row.values["fid_classifier"]) for group in groups.values()]


class TwoStageRows(Results):
    """Every training run of study 2, and the hybrid of study 1b."""

    @cached_property
    def stage1_rows(self) -> list[Row]:
        """Every stage 1, in the order of params.yaml."""
        return [Row(self, name, name, self.params.stage1_config(name)) for name in self.params.two_stage.stage1]

    @cached_property
    def stage2_rows(self) -> list[Row]:
        """Every stage 2 by architecture, then in the order of params.yaml."""
        rows = self.params.two_stage.rows.items()
        found = [Row(self, name, row["from"], self.params.stage2_config(name)) for name, row in rows]
        return sorted(found, key=lambda row: row.group)

    @property
    def rows(self) -> list[Row]:
        """Every stage 1, then every stage 2."""
        return self.stage1_rows + self.stage2_rows

    @property
    def guided(self) -> list[Row]:
        """The rows that a class loss steers."""
        return [row for row in self.stage2_rows if row.is_guided]

    @property
    def watched(self) -> list[Row]:
        """The guided rows whose variety is known, and that of their stage 1."""
        return [row for row in self.guided if isfinite(row.variety + row.start_row.variety)]

    @property
    def controlled(self) -> list[tuple[Row, list[Row]]]:
        """Every unguided stage 2 with the guided ones of its start, seed, batch size and n_gen."""

        def alike(row: Row) -> tuple:
            return row.start, row.settings.seed, row.settings.batch_size, row.stage2.n_gen

        controls = [row for row in self.stage2_rows if not row.is_guided]
        pairs = [(control, [row for row in self.guided if alike(row) == alike(control)]) for control in controls]
        return [(control, rows) for control, rows in pairs if rows]

    @cached_property
    def representatives(self) -> dict[str, Row]:
        """Of every architecture the row nearest to the top of params.yaml, after the stage 1 of the first."""

        def nearness(row: Row) -> int:
            return sum(getattr(row.settings, key) == getattr(self.params, key) for key in GANConfig.model_fields)

        chosen = {
            group: max(rows, key=nearness) for group, rows in grouped(self.stage2_rows, lambda r: r.group).items()
        }
        start = next(iter(chosen.values())).start
        return {STAGE1: next(row for row in self.stage1_rows if row.name == start), **chosen}

    @property
    def best(self) -> list[Row]:
        """Of every architecture the most consistent guided row, and the one with the lowest FID."""
        chosen = [*most_consistent(self.guided), *nearest(self.guided)]
        return [row for row in self.guided if row in chosen]

    @property
    def at_a_glance(self) -> list[Row]:
        """Of every architecture the row that stands for it and the most consistent one, with the stage 1 of each and
        its training without a guide, and the stages 1 without classes.
        """
        chosen = [*self.representatives.values(), *most_consistent(self.guided)]
        names = {name for row in chosen for name in (row.name, row.start)}
        names |= {control.name for control, guided in self.controlled if names & {row.name for row in guided}}
        return [row for row in self.rows if row.name in names or not row.has_classes]

    def placements(self) -> dict[str, list[Row]]:
        """Prior -> its first stage 1, and rows from there that differ from the last representative in it alone."""
        *_, last = self.representatives.values()
        found: dict[str, list[Row]] = {}
        for first in self.stage1_rows:
            alike = [row for row in self.stage2_rows if row.all_but("prior") == last.all_but("prior")]
            found.setdefault(first.settings.prior, [first, *(row for row in alike if row.start == first.name)])
        return found

    def repeats(self) -> list[list[Row]]:
        """Guided rows whose settings differ in nothing but the seed; their stages 1 may differ in theirs."""
        alike = grouped(self.guided, lambda row: str(row.all_but("seed")))
        return [rows for rows in alike.values() if len(rows) > 1]

    def expected(self) -> Expected:
        """Every row, the hybrid, and what they are measured by and against.

        Raises UserError if study 1 does not measure study 2's data.
        """
        split, models = self.params.two_stage.split, self.folders.models
        if split not in self.params.imbalance.splits:
            raise UserError(f"study 2 needs real-{split} for a floor: add `{split}` to imbalance.splits")
        plain = [self.plain_gan] if "gan" in self.params.imbalance.evaluated else []
        others = {f"real-{split}": self.folders.data / "reference" / split}
        trained = (*(row.run_name for row in self.rows), HYBRID)
        return {
            NAME: {name: models / NAME / name for name in trained} | self.inside(NAME),
            STUDY_1: others | {name: models / STUDY_1 / name for name in plain},
            CLASSIFIERS: {name: models / CLASSIFIERS / name for name in (GUIDE, JUDGE)},
        }

    @property
    def plain_gan(self) -> str:
        """The run of study 1's GAN on the same data."""
        return f"gan-{self.params.two_stage.split}"

    @property
    def floor(self) -> Run:
        """Real images, measured as everything here: study 1's floor of the same data."""
        return self.runs[f"real-{self.params.two_stage.split}"]

    @property
    def floor_consistency(self) -> dict[str, Any]:
        """What class consistency is for real images: how often the judge is right, overall and by class."""
        values = self.runs[JUDGE].values
        return {"class_consistency": values["accuracy"], "class_consistency_per_class": values["accuracy_per_class"]}

"""Which trainings study 2 has, which of them stand for an architecture, and which line of report 1's table 5 each
repeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from modescope.config import GANConfig, Params, Stage1Config
from modescope.errors import UserError
from modescope.report.figures import Look
from modescope.report.results import Expected, Folders, Results, Run
from modescope.report.scores import CLASSIFIERS, GUIDE, JUDGE
from modescope.report.trainings import curve
from modescope.studies import imbalance

STUDY = "two-stage"
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
    """One training: its name in params.yaml, the stage 1 that it starts from (itself, for a stage 1), and its settings."""

    name: str
    start: str
    settings: Stage1Config

    @property
    def stage2(self) -> GANConfig | None:
        """The settings of a stage 2, None for a stage 1."""
        return self.settings if isinstance(self.settings, GANConfig) else None

    @property
    def run(self) -> str:
        return self.name if self.stage2 is None else f"stage2-{self.name}"

    @property
    def group(self) -> str:
        """STAGE1 or the architecture's letter."""
        return STAGE1 if self.stage2 is None else self.stage2.architecture

    @property
    def has_classes(self) -> bool:
        """Whether its prior has components, one for each class."""
        return self.settings.prior != "normal"

    @property
    def is_guided(self) -> bool:
        return self.stage2 is not None and self.stage2.ce_loss_weight > 0


def stage1_rows(params: Params) -> list[Row]:
    """Every stage 1, in the order of params.yaml."""
    return [Row(name, name, params.stage1_config(name)) for name in params.two_stage.stage1]


def stage2_rows(params: Params) -> list[Row]:
    """Every stage 2 by architecture, then in the order of params.yaml."""
    rows = [Row(name, row["from"], params.stage2_config(name)) for name, row in params.two_stage.rows.items()]
    return sorted(rows, key=lambda row: row.group)


def all_rows(params: Params) -> list[Row]:
    return stage1_rows(params) + stage2_rows(params)


def representatives(params: Params) -> dict[str, Row]:
    """Of every architecture the row nearest to the top level of params.yaml, after the stage 1 that the first of them
    starts from.
    """
    rows = stage2_rows(params)
    chosen = {
        group: max(
            (row for row in rows if row.group == group),
            key=lambda row: sum(getattr(row.settings, key) == getattr(params, key) for key in GANConfig.model_fields),
        )
        for group in dict.fromkeys(row.group for row in rows)
    }
    start = next(iter(chosen.values())).start
    return {STAGE1: Row(start, start, params.stage1_config(start)), **chosen}


def placements(params: Params) -> dict[str, list[Row]]:
    """Every prior: the first stage 1 that has it, and the rows from there that differ in nothing but the prior from the
    last representative.
    """
    *_, last = representatives(params).values()
    found: dict[str, list[Row]] = {}
    for first in stage1_rows(params):
        alike = [
            row for row in stage2_rows(params) if row.start == first.name and _but(row, "prior") == _but(last, "prior")
        ]
        found.setdefault(first.settings.prior, [first, *alike])
    return found


def repeats(params: Params) -> list[list[Row]]:
    """Guided rows that differ in nothing but the seed."""
    alike: dict[str, list[Row]] = {}
    for row in stage2_rows(params):
        if row.is_guided:
            alike.setdefault(str(_but(row, "seed")), []).append(row)
    return [rows for rows in alike.values() if len(rows) > 1]


def _but(row: Row, setting: str) -> dict[str, Any]:
    return row.settings.model_dump(exclude={setting})


def real(params: Params) -> str:
    """Study 1's floor of the data that study 2 is trained on."""
    return f"real-{params.two_stage.split}"


def plain_gan(params: Params) -> str:
    """Study 1's GAN on the same data."""
    return f"gan-{params.two_stage.split}"


def expected_runs(params: Params, folders: Folders) -> Expected:
    """Every training of study 2, the hybrid of study 1b, and what they are measured by and against, with their folders.

    Raises UserError if study 1 does not measure study 2's data.
    """
    if params.two_stage.split not in params.imbalance.splits:
        raise UserError(f"study 2 needs {real(params)} for a floor: add `{params.two_stage.split}` to imbalance.splits")
    gan = (
        {plain_gan(params): folders.models / imbalance.STUDY / plain_gan(params)}
        if "gan" in params.imbalance.evaluated
        else {}
    )
    return {
        STUDY: {run: folders.models / STUDY / run for run in (*(row.run for row in all_rows(params)), HYBRID)},
        imbalance.STUDY: {real(params): folders.data / "reference" / params.two_stage.split, **gan},
        CLASSIFIERS: {name: folders.models / CLASSIFIERS / name for name in (GUIDE, JUDGE)},
    }


def run(results: Results, row: Row) -> Run:
    return results.runs[row.run]


def start(results: Results, row: Row) -> Run:
    """The run of the stage 1 that `row` starts from."""
    return results.runs[row.start]


def floor(results: Results) -> Run:
    """Real images of all classes, measured as everything here."""
    return results.runs[real(results.params)]


def consistency(results: Results, row: Row) -> float:
    """The part of a row's images that the judge sees in their intended class."""
    return run(results, row).values["class_consistency"]


def floor_consistency(results: Results) -> dict[str, Any]:
    """What class consistency is for real images: how often the judge is right, overall and by class."""
    values = results.runs[JUDGE].values
    return {"class_consistency": values["accuracy"], "class_consistency_per_class": values["accuracy_per_class"]}


def gradient_curve(results: Results, row: Row) -> DataFrame:
    """Norms of the gradients at a batch's images by step, and COSINE between the two terms' gradients, which follows
    from the norms.

    It is exact where a point of the curve is one update, and close where it is a mean over several.
    """
    table = curve(run(results, row), (ADVERSARIAL, CLASS, WHOLE))
    twice_the_product = table[WHOLE] ** 2 - table[ADVERSARIAL] ** 2 - table[CLASS] ** 2
    return table.assign(**{COSINE: (twice_the_product / (2 * table[ADVERSARIAL] * table[CLASS])).clip(-1, 1)})


def gradient_facts(results: Results, row: Row) -> tuple[float, float]:
    """Over training: how many times as long as the adversarial term's gradient the class term's is, and the cosine
    between them.
    """
    means = gradient_curve(results, row).mean()
    return float(means[CLASS] / means[ADVERSARIAL]), float(means[COSINE])


def reported(results: Results, row: Row) -> Mapping[str, float]:
    """The scores of the line of table 5 that `row` repeats, empty if there is none, if its settings differ or the data
    does.
    """
    if row.name not in TABLE_5 or not floor(results).info["data"]["name"].startswith("cifar10"):
        return {}
    line = results.reported["two_stage"][TABLE_5.index(row.name)]
    if row.stage2 is not None:
        wanted = {"architecture": line["arch"], "ce_loss_weight": line["lambda"], "n_gen": line["n"]}
        if any(value is not None and getattr(row.stage2, key) != value for key, value in wanted.items()):
            return {}
    return {score: line[score] for score in ("is_mean", "is_std", "fid")}

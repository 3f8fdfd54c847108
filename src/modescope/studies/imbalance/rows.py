"""Which runs study 1 has, what they are called in print, and how they look."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from modescope.data.splits import BALANCED, Split
from modescope.errors import UserError
from modescope.report.figures import FLOOR, INK, Look
from modescope.report.results import Expected, Results, Run
from modescope.report.scores import CLASSIFIERS, JUDGE
from modescope.report.seeds import Seeds
from modescope.report.texts import Texts

TEXTS = Texts(Path(__file__).parent)
NAME = "imbalance"
REAL = "real"
REPORTED = Look("reported by report 1", INK, "x", "--")
LOOKS = {
    REAL: FLOOR,
    "gan": Look("GAN", "#d55e00", "o"),
    "gan-ours": Look("GAN, ours", "#cc79a7", "D"),
    "vae": Look("VAE", "#0072b2", "s"),
    "vae-gmm": Look("VAE-GMM", "#009e73", "^"),
}
WITH_LABELS = ("gan-ours",)  # models that draw images for a label


class ImbalanceRows(Results):
    """The models of every split, and real images of it."""

    def expected(self) -> Expected:
        """The models of every split, with further seeds, the real-data floor, and the judge."""
        runs, trained = {}, self.folders.models / NAME
        for split in self.params.imbalance.splits:
            runs[f"{REAL}-{split}"] = self.folders.data / "reference" / split
            for model in self.params.imbalance.measured(split):
                runs[f"{model}-{split}"] = trained / f"{model}-{split}"
        runs |= {run: trained / run for run in self.seeds.further}
        return {NAME: runs | self.inside(NAME), CLASSIFIERS: {JUDGE: self.folders.models / CLASSIFIERS / JUDGE}}

    @property
    def seeds(self) -> Seeds:
        """The rows that are trained with several seeds."""
        chosen = self.params.seeds
        return Seeds(self, [[f"{model}-{split}" for model in chosen.models] for split in chosen.splits])

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """All splits by name."""
        return {
            name: Split.load(self.folders.data / "splits" / f"{name}.json") for name in self.params.imbalance.splits
        }

    @property
    def imbalanced(self) -> dict[str, Split]:
        """`balanced` and the report's splits: each is measured against its own images."""
        return {name: split for name, split in self.splits.items() if split.rho is None}

    @property
    def long_tailed(self) -> dict[str, Split]:
        """The field's splits, measured against the balanced training set."""
        return {name: split for name, split in self.splits.items() if split.rho is not None}

    @property
    def basis(self) -> str:
        """What the models of a split are measured against, in words."""
        long_tail = ", for a long-tailed one (lt) the balanced training set" if self.long_tailed else ""
        return "the training split" + long_tail

    def on(self, *splits: str) -> list[str]:
        """The models that are evaluated on one of these splits, in the order of LOOKS."""
        return [model for model in LOOKS if any(model in self.params.imbalance.measured(name) for name in splits)]

    @property
    def models(self) -> list[str]:
        """The models that are evaluated on some split, in the order of LOOKS."""
        return self.on(*self.splits)

    def shown(self, *splits: str) -> dict[str, str]:
        """Label -> model: real images, then every model that is evaluated on one of these splits."""
        return {LOOKS[model].label: model for model in (REAL, *self.on(*splits))}

    def splits_of(self, *models: str) -> list[str]:
        """The splits on which all of these models are evaluated."""
        return [name for name in self.splits if {*models} <= {REAL, *self.on(name)}]

    def run(self, model: str, split: str) -> Run:
        """The run of `model` (or REAL) on `split`."""
        return self.runs[f"{model}-{split}"]

    @property
    def classes(self) -> list[str]:
        """The data set's classes, in its order."""
        return self.run(REAL, next(iter(self.splits))).classes

    @property
    def ordered_classes(self) -> list[str]:
        """The classes, those of the imbalanced splits first and in their order."""
        return list(dict.fromkeys([*self.params.split.classes, *self.classes]))

    def training_counts(self, split: str) -> list[int]:
        """Training images of each class, dataset order."""
        counts = dict(zip(self.splits[split].classes, self.splits[split].counts, strict=True))
        return [counts.get(name, 0) for name in self.classes]

    def training_share(self, split: str) -> list[float]:
        """Share of each class among the split's training images, dataset order."""
        counts = self.training_counts(split)
        return [count / sum(counts) for count in counts]

    def class_share(self, model: str, split: str) -> list[float]:
        """Share of each class among a run's images as the judge sees them. Raises UserError for a wrong length."""
        chosen = self.run(model, split)
        share = chosen.values["class_share"]
        if len(share) != len(chosen.classes):
            found = f"class_share has {len(share)} entries for {len(chosen.classes)} classes"
            raise UserError(f"run {chosen.name}: {found}: run `dvc repro`")
        return share

    def printed(self, model: str, split: str) -> dict[str, float]:
        """What report 1 printed for a model, empty if it did not, or if this is not its split of CIFAR-10."""
        printed, drawn = self.reported[NAME], self.splits[split]
        counts = printed["splits"].get(split, {"counts": ()})["counts"]
        same_split = split == BALANCED if counts is None else list(drawn.counts) == counts
        if not (same_split and self.run(REAL, split).info["data"]["name"].startswith("cifar10")):
            return {}
        return printed.get(model, {}).get(split, {})

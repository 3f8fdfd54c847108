"""Which runs study 1 has, what they are called in print, and how they look."""

from modescope.config import Params
from modescope.data.splits import BALANCED, Split
from modescope.errors import UserError
from modescope.report.figures import FLOOR, INK, Look
from modescope.report.results import Expected, Folders, Results, Run
from modescope.report.scores import CLASSIFIERS, JUDGE
from modescope.report.seeds import runs_by_seed

STUDY = "imbalance"
REAL = "real"
REPORTED = Look("reported by report 1", INK, "x", "--")
LOOKS = {
    REAL: FLOOR,
    "gan": Look("GAN", "#d55e00", "o"),
    "gan-ours": Look("GAN, ours", "#cc79a7", "D"),
    "vae": Look("VAE", "#0072b2", "s"),
    "vae-gmm": Look("VAE-GMM", "#009e73", "^"),
}


def expected_runs(params: Params, folders: Folders) -> Expected:
    """The models of every split, those trained again, the real-data floor, and the judge, with their folders."""
    runs = {}
    for split in params.imbalance.splits:
        runs[f"{REAL}-{split}"] = folders.data / "reference" / split
        for model in params.imbalance.evaluated:
            runs[f"{model}-{split}"] = folders.models / STUDY / f"{model}-{split}"
    runs |= {run: folders.models / STUDY / run for seeds in again(params).values() for run in seeds.values()}
    return {STUDY: runs, CLASSIFIERS: {JUDGE: folders.models / CLASSIFIERS / JUDGE}}


def again(params: Params) -> dict[str, dict[int, str]]:
    """Rows of study 1 that are trained with further seeds -> their runs by seed."""
    return runs_by_seed(params, [f"{model}-{split}" for split in params.seeds.splits for model in params.seeds.models])


def imbalanced(results: Results) -> dict[str, Split]:
    """`balanced` and the report's splits: each is measured against its own images."""
    return {name: split for name, split in results.splits.items() if split.rho is None}


def long_tailed(results: Results) -> dict[str, Split]:
    """The field's splits, measured against the balanced training set."""
    return {name: split for name, split in results.splits.items() if split.rho is not None}


def basis(results: Results) -> str:
    """What the models of a split are measured against, in words."""
    return "the training split" + (
        ", for a long-tailed one (lt) the balanced training set" if long_tailed(results) else ""
    )


def models(results: Results) -> list[str]:
    """The evaluated models in the order of LOOKS, whatever their order in params.yaml."""
    return [model for model in LOOKS if model in results.params.imbalance.evaluated]


def run(results: Results, model: str, split: str) -> Run:
    """The run of `model` (or REAL) on `split`."""
    return results.runs[f"{model}-{split}"]


def all_classes(results: Results) -> list[str]:
    """The data set's classes, those of the imbalanced splits first and in their order."""
    others = run(results, REAL, next(iter(results.splits))).classes
    return list(dict.fromkeys([*results.params.split.classes, *others]))


def training_share(results: Results, split: Split) -> list[float]:
    """Share of each class of the data set among the split's training images, dataset order."""
    return [count / sum(split.counts) for count in training_counts(results, split)]


def training_counts(results: Results, split: Split) -> list[int]:
    """Training images of each class of the data set, dataset order."""
    counts = dict(zip(split.classes, split.counts, strict=True))
    return [counts.get(name, 0) for name in run(results, REAL, split.name).classes]


def class_share(results: Results, model: str, split: str) -> list[float]:
    """Share of each class among a run's images as the judge sees them, dataset order. Raises UserError for a wrong
    length.
    """
    chosen = run(results, model, split)
    share = chosen.values["class_share"]
    if len(share) != len(chosen.classes):
        raise UserError(
            f"run {chosen.name}: class_share has {len(share)} entries for {len(chosen.classes)} classes: run `dvc repro`"
        )
    return share


def reported(results: Results, model: str, split: Split) -> dict[str, float]:
    """What report 1 printed for this model and split, empty if it did not, or if the split is not its split of
    CIFAR-10.
    """
    printed = results.reported[STUDY]
    counts = printed["splits"].get(split.name, {"counts": ()})["counts"]
    same_split = split.name == BALANCED if counts is None else list(split.counts) == counts
    if not (same_split and run(results, REAL, split.name).info["data"]["name"].startswith("cifar10")):
        return {}
    return printed.get(model, {}).get(split.name, {})

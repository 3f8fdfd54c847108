"""Study 1's tables."""

from collections.abc import Sequence

from modescope.errors import UserError
from modescope.files import sha256
from modescope.report.imbalance.runs import (
    JUDGE,
    LOOKS,
    REAL,
    STUDY,
    all_classes,
    class_share,
    models,
    reported,
    run,
    training_share,
)
from modescope.report.results import Results, distinct
from modescope.report.tables import Column, Table, Value

SPLIT = Column("split", "split")
INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth (torch-fidelity)"
REPORT_TABLES = {"gan": 2, "vae": 3}
SPREAD_NOTE = "± is the spread over parts of the images (IS) or over subsets (KID), not over trainings."
SAMPLER_NOTES = {
    "gan": "",
    "vae": "VAE: codes from N(0, I) (pythae's NormalSampler).",
    "vae-gmm": "VAE-GMM: codes from {components} Gaussians fitted to the training images' codes (GaussianMixtureSampler).",
}
REPORTED_NOTE = (
    "Reported scores are report 1's: torchmetrics' Inception, layer and number of images not stated; "
    "they do not compare with the judge's."
)
REPORTED_COLUMNS = (
    Column("is_mean_reported", "IS ↑", "reported (Inception)", spread="is_std_reported"),
    Column("fid_reported", "FID ↓", "reported (Inception)", digits=1),
)
PRDC_COLUMNS = tuple(Column(name, f"{name} ↑", "judge", digits=3) for name in ("precision", "recall", "density", "coverage"))


def summary(results: Results) -> Table:
    """One row per split: how far every model's images are from the training split, in the judge's features and in class shares."""
    measures = {"fid_classifier": "judge's FID ↓", "class_share_tv": "TV of class shares ↓", "recall": "recall ↑"}
    shown = [*models(results), REAL]
    columns = [
        SPLIT,
        Column("ratio", "IR"),
        *(Column(f"{metric}/{model}", LOOKS[model].label, group, digits=3) for metric, group in measures.items() for model in shown),
    ]
    rows = [
        {"split": name, "ratio": split.ratio}
        | {f"{metric}/{model}": run(results, model, name).values[metric] for metric in measures for model in shown}
        for name, split in results.splits.items()
    ]
    caption = "The study at a glance; the tables below have the rest."
    return Table("summary", "Summary", columns, rows, caption, _score_facts(results))


def splits(results: Results) -> Table:
    """Table 1: images per class and imbalance ratio of every split."""
    drawn = {name for split in results.splits.values() for name in split.classes}
    columns = [
        SPLIT,
        Column("ratio", "IR"),
        Column("total", "images"),
        *(Column(name, name, "images per class") for name in all_classes(results) if name in drawn),
    ]
    rows = [
        {"split": name, "ratio": split.ratio, "total": sum(split.counts), **dict(zip(split.classes, split.counts, strict=True))}
        for name, split in results.splits.items()
    ]
    caption = (
        "As report 1's table 1: images per class; IR = largest count / smallest count; images are drawn without replacement."
    )
    facts = {"data": _data(results), "seed": f"split {results.params.split.seed}", "profile": results.profile}
    return Table("splits", "Imbalance splits", columns, rows, caption, facts, spell_groups=False)


def scores(results: Results, name: str, shown: Sequence[str]) -> Table:
    """Tables 2 and 3: scores of the `shown` models on every split, with the real-data floor below each."""
    shown = [model for model in models(results) if model in shown]
    rows = [_score_row(results, model, split) for split in results.splits for model in (*shown, REAL)]
    with_reported = any("fid_reported" in row for row in rows)
    columns = [
        SPLIT,
        Column("ratio", "IR"),
        Column("model", "images of"),
        Column("num_samples", "n"),
        *(REPORTED_COLUMNS if with_reported else ()),
        *_extractor_columns("_classifier", "judge"),
        *(_extractor_columns("", "Inception") if "inception" in results.params.evaluation.extractors else ()),
        *PRDC_COLUMNS,
    ]
    quiet = frozenset(index for index, row in enumerate(rows) if row["model"] == LOOKS[REAL].label)
    labels = " and ".join(LOOKS[model].label for model in shown)
    samplers = [SAMPLER_NOTES[model].format(components=results.params.imbalance.mixture.components) for model in shown]
    notes = [*samplers, SPREAD_NOTE, *([REPORTED_NOTE] if with_reported else [])]
    caption = f"As report 1's table {REPORT_TABLES[name]}: {labels} beside the floor that real images set. {' '.join(notes)}"
    title = f"{labels}: scores on every split"
    return Table(name, title, columns, rows, caption, _score_facts(results), _warnings(results, shown), quiet)


def class_shares(results: Results) -> Table:
    """The share of each class in the training split and among every model's images, with its distance from the former."""
    classes = run(results, REAL, next(iter(results.splits))).classes
    rows: list[dict[str, Value]] = []
    for name, split in results.splits.items():
        target = training_share(results, split)
        rows.append({"split": name, "images": "training split", **dict(zip(classes, target, strict=True))})
        for model in (REAL, *models(results)):
            share, values = class_share(results, model, name), run(results, model, name).values
            outside = [value for value, wanted in zip(share, target, strict=True) if wanted == 0]
            row = {"split": name, "images": LOOKS[model].label, "outside": sum(outside) if outside else None}
            row |= {"kl": values["class_share_kl"], "tv": values["class_share_tv"]}
            rows.append(row | dict(zip(classes, share, strict=True)))
    columns = [
        SPLIT,
        Column("images", "images of"),
        *(Column(name, name, "share of class, %", digits=1, scale=100) for name in all_classes(results)),
        Column("outside", "outside", "share of class, %", digits=1, scale=100),
        Column("kl", "KL, nats ↓", "distance", digits=3),
        Column("tv", "TV ↓", "distance", digits=3),
    ]
    quiet = frozenset(index for index, row in enumerate(rows) if row["images"] in ("training split", LOOKS[REAL].label))
    caption = (
        "Class shares in percent: counted in the training split, given by the judge elsewhere; "
        "outside = all classes that the split lacks; KL and TV (total variation) are taken against the training split. "
        "The judge puts every image into some class, also one that looks like nothing, so shares are read beside precision."
    )
    facts = _score_facts(results)
    return Table("class_share", "Share of every class", columns, rows, caption, facts, quiet=quiet, spell_groups=False)


def timings(results: Results) -> Table:
    """What every training took and on what."""
    rows = []
    for split in results.splits:
        for model in models(results):
            info = run(results, model, split).info
            row = {"run": f"{model}-{split}", "key": info["key"], "device": info["device"], "precision": info["precision"]}
            row |= {name: info.get(name) for name in ("steps", "steps_per_second", "seconds")}
            rows.append({**row, "resumed": info.get("resumed_from_step", 0)})
    columns = [
        Column("run", "run"),
        Column("key", "key"),
        Column("device", "device"),
        Column("precision", "precision"),
        Column("steps", "steps"),
        Column("steps_per_second", "steps/s", digits=1),
        Column("seconds", "seconds", digits=0),
        Column("resumed", "resumed from step"),
    ]
    caption = "Trainings; the key finds the run in MLflow (tag `key`)."
    return Table("runs", "Trainings", columns, rows, caption, {"data": _data(results), "profile": results.profile})


def _extractor_columns(suffix: str, group: str) -> tuple[Column, ...]:
    return (
        Column(f"is{suffix}_mean", "IS ↑", group, spread=f"is{suffix}_std"),
        Column(f"fid{suffix}", "FID ↓", group, digits=3 if suffix else 1),
        Column(f"kid{suffix}_mean", "KID ↓", group, digits=3, spread=f"kid{suffix}_std"),
    )


def _score_row(results: Results, model: str, split_name: str) -> dict[str, Value]:
    split, chosen = results.splits[split_name], run(results, model, split_name)
    if "inception" in results.params.evaluation.extractors and "fid" not in chosen.values:
        raise UserError(
            f"run {chosen.name} has no Inception scores, which evaluation.extractors asks for: run `dvc repro evaluate`"
        )
    scalars = {name: value for name, value in chosen.values.items() if not isinstance(value, list)}
    printed = {f"{name}_reported": value for name, value in reported(results, model, split).items()}
    return {"split": split_name, "ratio": split.ratio, "model": LOOKS[model].label, **scalars, **printed}


def _warnings(results: Results, shown: Sequence[str]) -> list[str]:
    """What the evaluation warned of, each warning once with the runs that it holds for."""
    runs: dict[str, list[str]] = {}
    for model in (*shown, REAL):
        for split in results.splits:
            for warning in run(results, model, split).values.get("warnings", ()):
                runs.setdefault(warning, []).append(f"{model}-{split}")
    return [f"Warning ({', '.join(names)}): {warning}." for warning, names in runs.items()]


def _score_facts(results: Results) -> dict[str, str]:
    params, judge = results.params, results.runs[JUDGE]
    network = params.classifiers[JUDGE].network
    weights, accuracy = sha256(judge.folder / "model.safetensors")[:12], judge.values["accuracy"]
    generated, real = (_counts(results, shown, "num_samples") for shown in (models(results), [REAL]))
    facts = {
        "data": _data(results),
        "samples": f"{generated} per model, {real} real",
        "judge": f"{JUDGE} ({network}, weights sha256 {weights}, {accuracy:.1%} right on real test images)",
        "reference": f"the training split ({_counts(results, [REAL], 'num_reference')} images)",
        "neighbours": str(params.evaluation.neighbours),
        "seeds": f"training {params.seed}, split {params.split.seed}, evaluation {params.evaluation.seed}",
        "profile": results.profile,
    }
    if "inception" in params.evaluation.extractors:
        facts["Inception"] = INCEPTION_WEIGHTS
    return facts


def _counts(results: Results, shown: Sequence[str], metric: str) -> str:
    """The value of a counting metric, or the least and the largest."""
    values = [run(results, model, split).values[metric] for model in shown for split in results.splits]
    return " to ".join(f"{value:,}" for value in sorted({min(values), max(values)}))


def _data(results: Results) -> str:
    return distinct([found.info["data"]["name"] for found in results.runs.values() if found.study == STUDY])

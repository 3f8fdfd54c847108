"""Study 1's tables."""

from collections.abc import Sequence
from itertools import combinations

from modescope.report import trainings
from modescope.report.results import Results, Run
from modescope.report.scores import (
    PRDC_COLUMNS,
    REPORTED_COLUMNS,
    REPORTED_NOTES,
    SPREAD_NOTE,
    TAIL_COLUMNS,
    TAIL_NOTE,
    data_names,
    evaluation_warnings,
    extractor_columns,
    score_cells,
    score_facts,
)
from modescope.report.seeds import differences, repeated, spreads, trained_again
from modescope.report.tables import Column, Table, Value
from modescope.studies.imbalance.rows import (
    LOOKS,
    REAL,
    again,
    all_classes,
    basis,
    class_share,
    long_tailed,
    models,
    reported,
    run,
    training_share,
)

SPLIT = Column("split", "split")
REPEATED = (
    Column("fid_classifier", "FID ↓", "judge", digits=3),
    Column("class_share_tv", "TV of class shares ↓", "judge", digits=3),
    Column("recall", "recall ↑", "judge", digits=3),
)
REPORT_TABLES = {"gan": 2, "vae": 3}
SAMPLER_NOTES = {
    "gan": "",
    "gan-ours": "GAN, ours: given labels, drawn as often as the split has them.",
    "vae": "VAE: codes from N(0, I) (pythae's NormalSampler).",
    "vae-gmm": "VAE-GMM: codes from {components} Gaussians fitted to the training images' codes (GaussianMixtureSampler).",
}


def summary(results: Results) -> Table:
    """One row per split: how far every model's images are from the training split, in the judge's features and in class
    shares.
    """
    measures = {"fid_classifier": "judge's FID ↓", "class_share_tv": "TV of class shares ↓", "recall": "recall ↑"}
    shown = [*models(results), REAL]
    columns = [
        SPLIT,
        Column("ratio", "IR"),
        *(
            Column(f"{metric}/{model}", LOOKS[model].label, group, digits=3)
            for metric, group in measures.items()
            for model in shown
        ),
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
        {
            "split": name,
            "ratio": split.ratio,
            "total": sum(split.counts),
            **dict(zip(split.classes, split.counts, strict=True)),
        }
        for name, split in results.splits.items()
    ]
    caption = "As report 1's table 1: images per class; IR = largest count / smallest count; images are drawn without replacement."
    facts = {
        "data": data_names(_runs(results, [REAL])),
        "seed": f"split {results.params.split.seed}",
        "profile": results.profile,
    }
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
        *extractor_columns(results.params),
        *PRDC_COLUMNS,
    ]
    quiet = frozenset(index for index, row in enumerate(rows) if row["model"] == LOOKS[REAL].label)
    labels = " and ".join(LOOKS[model].label for model in shown)
    samplers = [SAMPLER_NOTES[model].format(components=results.params.imbalance.mixture.components) for model in shown]
    notes = [*samplers, SPREAD_NOTE, *([REPORTED_NOTES[1]] if with_reported else [])]
    caption = (
        f"As report 1's table {REPORT_TABLES[name]}: {labels} beside the floor that real images set. {' '.join(notes)}"
    )
    title = f"{labels}: scores on every split"
    return Table(
        name,
        title,
        columns,
        rows,
        caption,
        _score_facts(results),
        evaluation_warnings(_runs(results, (*shown, REAL))),
        quiet,
    )


def tail(results: Results) -> Table:
    """The field's protocol: many, medium and few classes of the long-tailed splits against the balanced training set."""
    kl = Column("class_share_kl", "KL of class shares, nats ↓", digits=3)
    columns = [SPLIT, Column("ratio", "IR"), Column("model", "images of"), kl, *TAIL_COLUMNS]
    rows = [_score_row(results, model, split) for split in long_tailed(results) for model in (*models(results), REAL)]
    quiet = frozenset(index for index, row in enumerate(rows) if row["model"] == LOOKS[REAL].label)
    caption = f"{TAIL_NOTE} No model here draws by label, so the judge sorts the images."
    return Table(
        "long_tail", "Long tail, against the balanced set", columns, rows, caption, _score_facts(results), quiet=quiet
    )


def over_seeds(results: Results) -> list[Table]:
    """Rows trained with several seeds, and on every split what outlasts the seeds between two models; none where
    nothing is repeated.
    """
    rows, seeds = repeated(results, again(results.params)), results.params.seeds
    pairs = [
        (rows[f"{one}-{split}"], rows[f"{other}-{split}"])
        for split in seeds.splits
        for one, other in combinations(seeds.models, 2)
        if rows
    ]
    return (
        [spreads("seeds", results, list(rows.values()), REPEATED), differences("differences", results, pairs, REPEATED)]
        if rows
        else []
    )


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
        "outside = all classes that the split lacks; KL and TV (total variation) are taken against "
        f"{basis(results)}. "
        "The judge puts every image into some class, also one that looks like nothing, so shares are read beside precision."
    )
    facts = _score_facts(results)
    return Table("class_share", "Share of every class", columns, rows, caption, facts, quiet=quiet, spell_groups=False)


def timings(results: Results) -> Table:
    """What every training took and on what."""
    runs = [run(results, model, split) for split in results.splits for model in models(results)]
    return trainings.timings("runs", results, runs + trained_again(results, again(results.params)))


def _score_row(results: Results, model: str, split_name: str) -> dict[str, Value]:
    split = results.splits[split_name]
    cells = score_cells(results.params, run(results, model, split_name), reported(results, model, split))
    return {"split": split_name, "ratio": split.ratio, "model": LOOKS[model].label, **cells}


def _score_facts(results: Results) -> dict[str, str]:
    params = results.params
    generated, real = (_runs(results, shown) for shown in (models(results), [REAL]))
    return score_facts(results, generated, real, basis(results), f"training {params.seed}, split {params.split.seed}")


def _runs(results: Results, shown: Sequence[str]) -> list[Run]:
    return [run(results, model, split) for model in shown for split in results.splits]

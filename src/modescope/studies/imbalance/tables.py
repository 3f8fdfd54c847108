"""Study 1's tables; their titles, captions and fixed columns are in texts.yaml."""

from collections.abc import Sequence

from modescope.report import scores as shared
from modescope.report import trainings
from modescope.report.page import GLANCE
from modescope.report.results import Run
from modescope.report.tables import Column, Table, Value
from modescope.studies.imbalance.rows import LOOKS, REAL, TEXTS, WITH_LABELS, ImbalanceRows

COMPARED = (shared.FID, shared.TV, shared.RECALL)


def summary(results: ImbalanceRows) -> Table:
    """A row per split: every model's distance from the training split in the judge's features and in class shares."""
    shown = results.shown(*results.splits).items()
    columns = [
        Column(f"{metric.key}/{model}", label, group, digits=3)
        for metric, group in zip(
            COMPARED, ("FID ↓, judge", "TV of class shares ↓, judge", "recall ↑, judge"), strict=True
        )
        for label, model in shown
    ]
    rows = [
        {"split": name, "ratio": split.ratio}
        | {f"{m.key}/{of}": results.run(of, name).values[m.key] for m in COMPARED for of in (REAL, *results.on(name))}
        for name, split in results.splits.items()
    ]
    return TEXTS("summary").table(rows, _facts(results), columns)


def glance(results: ImbalanceRows) -> Table:
    """Every model on the least and on the most imbalanced split of params.yaml."""
    params = results.params
    ratios = {name: params.split.long_tailed.get(name, 1.0) for name in params.imbalance.splits}
    ratios |= {name: max(counts) / min(counts) for name, counts in params.split.counts.items() if name in ratios}
    ends = dict.fromkeys((min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)))
    rows = [_row(results, model, split) for split in ends for model in (*results.on(split), REAL)]
    sizes = " and ".join(f"{ratios[split]:.3g}" for split in ends)
    return TEXTS(GLANCE, sizes=sizes).table(rows, {"profile": results.profile})


def splits(results: ImbalanceRows) -> Table:
    """Table 1: images per class and imbalance ratio of every split."""
    drawn = {name for split in results.splits.values() for name in split.classes}
    columns = [Column(name, name, "images per class") for name in results.ordered_classes if name in drawn]
    rows = [
        {"split": name, "ratio": split.ratio, "total": sum(split.counts)}
        | dict(zip(split.classes, split.counts, strict=True))
        for name, split in results.splits.items()
    ]
    facts = {"data": shared.data_names(_runs(results, [REAL])), "seed": f"split {results.params.split.seed}"}
    return TEXTS("splits").table(rows, facts | {"profile": results.profile}, columns)


def scores(results: ImbalanceRows, name: str, shown: Sequence[str]) -> Table:
    """Tables 2 and 3: scores of the `shown` models on every split, with the real-data floor below each."""
    shown = [model for model in results.models if model in shown]
    rows = [
        _row(results, model, split, scored=True)
        for split in results.splits
        for model in (*shown, REAL)
        if split in results.splits_of(model)
    ]
    components = results.params.imbalance.mixture.components
    notes = [TEXTS(f"sampler_{model}", components=components).caption for model in shown] + [shared.SPREAD_NOTE]
    notes += [shared.REPORTED_NOTES[1]] if any("fid_reported" in row for row in rows) else []
    labels = " and ".join(LOOKS[model].label for model in shown)
    text = TEXTS(name, labels=labels, notes=" ".join(filter(None, notes)))
    return text.table(rows, _facts(results), notes=shared.evaluation_warnings(_runs(results, (*shown, REAL))))


def tail(results: ImbalanceRows) -> Table:
    """The field's protocol: many, medium and few classes of the long-tailed splits against the balanced set."""
    splits = results.long_tailed
    rows = [_row(results, model, split, scored=True) for split in splits for model in (*results.on(split), REAL)]
    labelled = [LOOKS[model].label for model in results.on(*splits) if model in WITH_LABELS]
    others = f", those of {' and '.join(labelled)} by the label that they were drawn for" if labelled else ""
    text = TEXTS("long_tail", tail_note=shared.TAIL_NOTE, others=others)
    return text.table(rows, _facts(results), shared.TAIL_COLUMNS)


def over_seeds(results: ImbalanceRows) -> list[Table]:
    """Rows trained with several seeds, and on every split the difference between any two models."""
    return results.seeds.tables("", COMPARED)


def class_shares(results: ImbalanceRows) -> Table:
    """The share of each class in the training split and among every model's images, with the distance between both."""
    rows: list[dict[str, Value]] = []
    for name in results.splits:
        target = results.training_share(name)
        by_class = dict(zip(results.classes, target, strict=True))
        rows.append({"split": name, "images": "training split", "quiet": True} | by_class)
        for label, model in results.shown(name).items():
            share, values = results.class_share(model, name), results.run(model, name).values
            outside = [value for value, wanted in zip(share, target, strict=True) if wanted == 0]
            row = {"split": name, "images": label, "outside": sum(outside) if outside else None, "quiet": model == REAL}
            row |= {"kl": values["class_share_kl"], "tv": values["class_share_tv"]}
            rows.append(row | dict(zip(results.classes, share, strict=True)))
    shown = (*results.ordered_classes, "outside")
    columns = [Column(name, name, "share of class, %", digits=1, scale=100) for name in shown]
    columns += [Column("kl", "KL, nats ↓", "distance", digits=3), Column("tv", "TV ↓", "distance", digits=3)]
    return TEXTS("class_share", basis=results.basis).table(rows, _facts(results), columns)


def timings(results: ImbalanceRows) -> Table:
    """What every training run took and on what."""
    further = [results.runs[name] for name in results.seeds.further]
    runs = [results.run(model, split) for split in results.splits for model in results.on(split)]
    return trainings.timings("runs", results, runs + further)


def _row(results: ImbalanceRows, model: str, split: str, scored: bool = False) -> dict[str, Value]:
    """A run's row; where it is `scored` with the split's ratio and what report 1 printed."""
    found = results.run(model, split)
    cells: dict[str, Value] = {**found.cells}
    if scored:
        cells = shared.score_cells(results.params, found, results.printed(model, split))
        cells |= {"ratio": results.splits[split].ratio}
    cells |= {"split": split, "model": LOOKS[model].label}
    return shared.floor_row("model", cells) if model == REAL else cells


def _facts(results: ImbalanceRows) -> dict[str, str]:
    generated, real = _runs(results, results.models), _runs(results, [REAL])
    seeds = f"training {results.params.seed}, split {results.params.split.seed}"
    return shared.score_facts(results, generated, real, results.basis, seeds)


def _runs(results: ImbalanceRows, shown: Sequence[str]) -> list[Run]:
    return [results.run(model, split) for model in shown for split in results.splits_of(model)]

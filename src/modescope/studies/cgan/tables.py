"""Study 3's tables."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from modescope.report import trainings
from modescope.report.figures import FLOOR
from modescope.report.results import Results, Run
from modescope.report.scores import (
    GREY_JUDGE,
    PRDC_COLUMNS,
    REPORTED_NOTES,
    SPREAD_NOTE,
    data_names,
    evaluation_warnings,
    extractor_columns,
    judge_fact,
    score_cells,
    score_facts,
)
from modescope.report.seeds import differences, repeated, spreads, trained_again
from modescope.report.tables import Column, Table, Value
from modescope.report.wording import span
from modescope.studies.cgan.rows import (
    LABELLED,
    MODES,
    STACKED_REAL,
    Row,
    again,
    all_rows,
    base_config,
    best,
    digits,
    floor,
    labelled_rows,
    published,
    reported,
    reported_pixel_std,
    run,
    shown,
    stacked_run,
)

ROW, LOSS, MODE = Column("row", "row"), Column("loss", "loss"), Column("mode", "mode")
CONSISTENCY = Column("class_consistency", "class consistency, % ↑", "judge", scale=100)
FID, RECALL = Column("fid_classifier", "FID ↓", "judge", digits=3), Column("recall", "recall ↑", "judge", digits=3)
REPORTED_GROUP = "reported (Inception)"
REPORTED_COLUMNS = (
    Column("fid_reported", "FID ↓", REPORTED_GROUP),
    Column("kid_mean_reported", "KID ↓", REPORTED_GROUP, digits=4, spread="kid_std_reported"),
    Column("class_consistency_reported", "class consistency, % ↑", REPORTED_GROUP, scale=100),
    Column("seconds_reported", "seconds", REPORTED_GROUP, digits=0),
)
SECONDS = Column("seconds", "seconds", "training", digits=0)
FIXED_Z = (
    Column("fixed_z_mean", "classes of a z ↑", "fixed z", digits=1),
    Column("fixed_z_all", "z with every class ↑", "fixed z"),
)
FIXED_Z_NOTE = "Fixed z: different classes that the judge sees in the images of one z with every label, as a mean over {count} z, and the z with all of them."
WITHIN_DIGIT = {"ms_ssim": "MS-SSIM ↓", "recall_per_class": "recall ↑", "coverage_per_class": "coverage ↑"}


def summary(results: Results) -> Table:
    """A line per loss: the judge's FID with and without labels, class consistency and training time; our best row and
    the floor.
    """
    params, mine = results.params, best(results)
    modes = [mode for mode in MODES if mode in params.cgan.modes or (mode == LABELLED and mine)]
    lines: dict[str, dict[str, Value]] = {loss: {"row": loss} for loss in params.cgan.losses}
    for row in (row for mode in reversed(modes) for row in published(params, mode)):
        lines[row.config.loss] |= run(results, row).scalars | _fid_by_mode(run(results, row), [row.config.mode])
    rows = list(lines.values())
    if mine:
        rows.append(
            {"row": f"{mine.name} ({mine.config.loss})"}
            | run(results, mine).scalars
            | _fid_by_mode(run(results, mine), [LABELLED])
        )
    rows.append({"row": FLOOR.label} | floor(results).scalars | _fid_by_mode(floor(results), modes))
    columns = [
        Column("row", "loss"),
        *(Column(f"fid/{mode}", MODES[mode].label, "judge's FID ↓", digits=3) for mode in modes),
        *([Column("class_consistency", "class consistency, % ↑", scale=100)] if LABELLED in modes else []),
        Column("seconds", "seconds", digits=0),
    ]
    caption = (
        "Class consistency (images that the judge sees in the class of their label) and seconds of training are those of the row with labels, "
        "where there is one."
        f"{' Of our rows the most consistent one.' if mine else ''}"
    )
    return Table(
        "cgan_summary", "Study 3 at a glance", columns, rows, caption, _facts(results), (), frozenset({len(rows) - 1})
    )


def scores(results: Results) -> Table:
    """Table 6.1 for every row: scores, consistency and speed beside what report 2 printed."""
    rows = [_identity(row) | _measured(results, row) for row in all_rows(results.params)]
    rows.append({"mode": FLOOR.label, **score_cells(results.params, floor(results), {})})
    with_reported = any("fid_reported" in row for row in rows)
    columns = [
        *(MODE, LOSS, ROW),
        *(REPORTED_COLUMNS if with_reported else ()),
        *extractor_columns(results.params, kid_digits=4),
        *(CONSISTENCY, *PRDC_COLUMNS[1::2]),
        *(SECONDS, Column("images_per_second", "images/s", "training", digits=0)),
    ]
    caption = (
        "As report 2's table 6.1, with the rows without labels, which it compares in its figure 7.2, and ours. Class consistency: images that the judge "
        "sees in the class of their label; for real images it is the judge's accuracy. Images/s: a batch for each of the generator's steps. "
        f"{SPREAD_NOTE}{' ' + REPORTED_NOTES[2] + ' Its FIDs of dcgan-bce and dcgan-lsgan are read off a figure.' if with_reported else ''}"
    )
    warnings = evaluation_warnings([*(run(results, row) for row in all_rows(results.params)), floor(results)])
    return Table(
        "cgan",
        "Conditional GANs: scores of every row",
        columns,
        rows,
        caption,
        _facts(results),
        warnings,
        frozenset({len(rows) - 1}),
    )


def class_consistency(results: Results) -> Table:
    """Class consistency of every row with labels, by digit, and how many classes one z gives."""
    rows: list[dict[str, Value]] = []
    for row in labelled_rows(results.params):
        rows.append(
            _identity(row) | _by_digit(results, run(results, row), "class_consistency") | _fixed_z(run(results, row))
        )
    rows.append({"row": FLOOR.label, **_by_digit(results, floor(results), "class_consistency")})
    columns = [ROW, *_digit_columns(results, "class consistency, % ↑", 1, 100), *FIXED_Z]
    caption = (
        "Of the images made for a digit, the part that the judge sees in it, in percent; for real images: how often the judge is right. "
        f"{_fixed_z_note(results)}"
    )
    quiet = frozenset({len(rows) - 1})
    return Table(
        "cgan_consistency",
        "Class consistency of every digit",
        columns,
        rows,
        caption,
        _facts(results),
        (),
        quiet,
        False,
    )


def pixel_std(results: Results) -> Table:
    """Table 8.1: the standard deviation of a digit's pixels, beside what report 2 printed."""
    sources = [
        (row.label, run(results, row).values["pixel_std"], reported_pixel_std(results, row)) for row in shown(results)
    ]
    measured = {label: values for label, values, _ in sources} | {"real images": floor(results).values["pixel_std"]}
    told = {label: values for label, _, values in sources if values}
    columns = [
        Column("digit", "digit"),
        *(Column(label, label, "measured", digits=3) for label in measured),
        *(Column(f"{label}_reported", label, "reported", digits=3) for label in told),
    ]
    table = {**measured, **{f"{label}_reported": values for label, values in told.items()}}
    rows: list[dict[str, Value]] = [
        {"digit": digit} | {key: values[index] for key, values in table.items()}
        for index, digit in enumerate(digits(results))
    ]
    rows.append({"digit": "mean"} | {key: sum(values) / len(values) for key, values in table.items()})
    caption = (
        "As report 2's table 8.1: the standard deviation over all pixels, in [-1, 1], of a digit's images, which the report takes for their diversity. "
        "A single sharp image has it, too; the table of diversity has measures that tell."
    )
    return Table(
        "cgan_pixel_std",
        "Standard deviation of the pixels",
        columns,
        rows,
        caption,
        _facts(results),
        (),
        frozenset({len(rows) - 1}),
        False,
    )


def diversity(results: Results) -> Table:
    """MS-SSIM, recall and coverage within every digit, of the rows that figures show and of real images."""
    sources = {row.label: run(results, row) for row in shown(results)} | {FLOOR.label: floor(results)}
    rows = [
        {"measure": title, "row": label, **_within_digit(results, found, metric)}
        for metric, title in WITHIN_DIGIT.items()
        for label, found in sources.items()
    ]
    columns = [Column("measure", "measure"), Column("row", "images of"), *_digit_columns(results, "digit", 3)]
    caption = (
        "How different a digit's images are from each other: MS-SSIM is the mean similarity of pairs, which varied images keep as low as real ones do; "
        "recall and coverage are the parts of the digit's real images that its samples come near, in the judge's features. All: means over the digits."
    )
    quiet = frozenset(index for index, row in enumerate(rows) if row["row"] == FLOOR.label)
    return Table(
        "cgan_diversity", "Diversity within every digit", columns, rows, caption, _facts(results), (), quiet, False
    )


def ours(results: Results) -> Table:
    """Our rows under the published rows of their losses, with what they change."""
    mine = [row for row in all_rows(results.params) if row.is_ours]
    families = {(row.config.mode, row.config.loss): [] for row in mine}
    for row in all_rows(results.params):
        families.get((row.config.mode, row.config.loss), []).append(row)
    rows = [
        _identity(row) | {"changes": _changes(results, row)} | _measured(results, row) | _fixed_z(run(results, row))
        for family in families.values()
        for row in family
    ]
    fids = [column for column in extractor_columns(results.params) if column.key.startswith("fid")]
    columns = [LOSS, ROW, Column("changes", "differs in"), *fids, CONSISTENCY, *PRDC_COLUMNS[1::2], *FIXED_Z]
    quiet = frozenset(index for index, row in enumerate(rows) if row["changes"] is None)
    caption = f"Our rows, each with what differs from its loss's published row, which stands above them. {_fixed_z_note(results)}"
    return Table("cgan_ours", "Our rows", columns, rows, caption.strip(), _facts(results), (), quiet)


def stacked(results: Results) -> Table:
    """How many of the 1,000 modes of stacked digits every loss covers, and real digits."""
    params = results.params
    runs = {loss: results.runs[stacked_run(loss)] for loss in params.stacked.losses}
    rows: list[dict[str, Value]] = [{"loss": loss, **found.scalars} for loss, found in runs.items()]
    rows.append({"loss": FLOOR.label, **results.runs[STACKED_REAL].scalars})
    columns = [
        *(LOSS, Column("num_samples", "n")),
        Column("modes_covered", "with a sample ↑", "modes of 1,000"),
        Column("modes_enough", f"with {params.stacked.enough} ↑", "modes of 1,000"),
        Column("kl_to_uniform", "KL to uniform, nats ↓", digits=3),
        *(SECONDS, Column("steps_per_second", "steps/s", "training", digits=1)),
    ]
    configs = [params.stacked_config(loss) for loss in params.stacked.losses]
    facts = {
        "data": data_names(runs.values()),
        "judge": judge_fact(results, GREY_JUDGE),
        "budget": f"{span([config.generator_steps for config in configs], 0)} generator steps on {params.stacked.num_images:,} images",
        "seeds": f"training {params.seed}, evaluation {params.evaluation.seed}",
        "profile": results.profile,
    }
    caption = (
        "Three digits as the channels of one image make 1,000 modes; the judge reads each channel. Networks without labels. "
        "The floor is real test digits, stacked alike: the judge's errors and chance keep it from uniform."
    )
    return Table(
        "stacked", "Stacked digits: modes covered", columns, rows, caption, facts, (), frozenset({len(rows) - 1})
    )


def over_seeds(results: Results) -> list[Table]:
    """Rows trained with several seeds, and what outlasts the seeds between any two of them; none where nothing is
    repeated.
    """
    rows = repeated(results, again(results.params))
    metrics, pairs = (FID, CONSISTENCY, RECALL), list(combinations(rows.values(), 2))
    return (
        [
            spreads("seeds_cgan", results, list(rows.values()), metrics),
            differences("differences_cgan", results, pairs, metrics),
        ]
        if rows
        else []
    )


def timings(results: Results) -> Table:
    """What every training took and on what."""
    trained = (*results.params.cgan.rows, *map(stacked_run, results.params.stacked.losses))
    runs = [results.runs[name] for name in trained] + trained_again(results, again(results.params))
    return trainings.timings("runs_cgan", results, runs)


def _identity(row: Row) -> dict[str, Value]:
    return {"mode": row.config.mode, "loss": row.config.loss, "row": row.name}


def _measured(results: Results, row: Row) -> dict[str, Value]:
    found = run(results, row)
    cells = score_cells(results.params, found, reported(results, row))
    return cells | {"images_per_second": found.values["steps_per_second"] * row.config.batch_size}


def _fid_by_mode(found: Run, modes: Sequence[str]) -> dict[str, Value]:
    return {f"fid/{mode}": found.values["fid_classifier"] for mode in modes}


def _digit_columns(results: Results, group: str, decimals: int, scale: float = 1.0) -> list[Column]:
    return [Column(name, name, group, decimals, scale) for name in ("all", *digits(results))]


def _by_digit(results: Results, found: Run, metric: str) -> dict[str, Value]:
    """A metric over all images and by digit."""
    return {"all": found.values[metric]} | dict(zip(digits(results), found.values[f"{metric}_per_class"], strict=True))


def _within_digit(results: Results, found: Run, metric: str) -> dict[str, Value]:
    """A metric that is taken within every digit, and its mean."""
    values: Sequence[float] = found.values[metric]
    return {"all": sum(values) / len(values)} | dict(zip(digits(results), values, strict=True))


def _fixed_z(found: Run) -> dict[str, Value]:
    counts: Sequence[int] = found.values.get("fixed_z_classes", ())
    return (
        {"fixed_z_mean": sum(counts) / len(counts), "fixed_z_all": counts.count(len(found.classes))} if counts else {}
    )


def _fixed_z_note(results: Results) -> str:
    counts = [len(run(results, row).values["fixed_z_classes"]) for row in labelled_rows(results.params)]
    return FIXED_Z_NOTE.format(count=span(counts, 0)) if counts else ""


def _changes(results: Results, row: Row) -> str | None:
    """Settings in which a row of ours differs from its loss's published one."""
    if not row.is_ours:
        return None
    base = base_config(results.params, row)
    changed = [f"{name} {value}" for name, value in row.config if value != getattr(base, name)]
    return ", ".join(changed).replace("None", "none") or "nothing"


def _facts(results: Results) -> Mapping[str, str]:
    params, rows = results.params, all_rows(results.params)
    facts = score_facts(
        results,
        [run(results, row) for row in rows],
        [floor(results)],
        "the training images",
        f"training {params.seed}",
        GREY_JUDGE,
    )
    shared = params.cgan.training
    widths = (
        f"generator {shared.generator_width}, discriminator {shared.discriminator_width}, critic {shared.critic_width}"
    )
    return facts | {
        "widths": widths,
        "budget": f"{span([row.config.generator_steps for row in rows], 0)} generator steps",
    }

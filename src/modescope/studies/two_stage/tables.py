"""The tables of studies 1b and 2."""

import math
from collections.abc import Mapping

from modescope.config import GANConfig
from modescope.report import scores as shared
from modescope.report import trainings
from modescope.report.page import GLANCE
from modescope.report.seeds import Repeated, spreads
from modescope.report.tables import Column, Table, Value, column, columns
from modescope.studies.two_stage.rows import HYBRID, STAGE1, TEXTS, Row, TwoStageRows

GROUP, ROW, GUIDES_VIEW = columns("group", "row", "guide_consistency")
SETTINGS = columns("weight", "n_gen", "layers", "prior", "batch_size", "seed")
GRADIENTS = columns("gradient_ratio", "gradient_cosine")
CODE_TESTS = columns("ks_rejected", "ks_max", "mmd", "mmd_p")
PRIORS = {
    "diagonal": "diagonal (the report's text): means 0.5 k 1, variance 1",
    "sphere": "sphere (its code): means of length 8 √d in random directions, variance 0.5; |z| is near {length:.0f}",
    "orthogonal": "orthogonal (ours): pairwise orthogonal means of one length, second moment 1 per dimension",
    "normal": "normal: N(0, I), which has no classes",
}
MOMENTS = {"untrained": "codes, untrained", "vae": "codes, VAE trained alone", "joint": "codes, trained jointly"}


def summary(results: TwoStageRows) -> Table:
    """Rows that stand for an architecture, with their settings."""
    columns = [
        GROUP,
        ROW,
        column("layers", group=""),
        column("prior", group=""),
        shared.CONSISTENCY,
        GUIDES_VIEW,
        shared.FID,
        shared.RECALL,
    ]
    rows = _summary_rows(results)
    return TEXTS("two_stage_summary").table(columns, rows, _facts(results))


def glance(results: TwoStageRows) -> Table:
    """The same rows with their scores alone."""
    columns, facts = [GROUP, ROW, shared.CONSISTENCY, GUIDES_VIEW, shared.FID], {"profile": results.profile}
    return TEXTS(GLANCE).table(columns, _summary_rows(results), facts)


def _summary_rows(results: TwoStageRows) -> list[Mapping[str, Value]]:
    """Of every architecture the row that stands for it and the most consistent one, under the stage 1 of each."""
    chosen = results.representatives
    best = [
        max(rows, key=lambda row: row.values["class_consistency"])
        for group in chosen
        if (rows := [row for row in results.guided if row.group == group])
    ]
    names = {name for row in (*chosen.values(), *best) for name in (row.name, row.start)}
    rows = [_row(row) | row.run.cells for row in results.rows if row.name in names]
    cells = results.floor.cells | results.floor_consistency | {"run": f"{results.floor.name} {shared.JUDGE}"}
    return [*rows, shared.floor_row("group", cells)]


def scores(results: TwoStageRows) -> Table:
    """Table 5: every row with its settings, beside what report 1 printed for it."""
    rows = [_row(row) | _measured(results, row) for row in results.rows]
    rows.append(
        shared.floor_row("group", shared.score_cells(results.params, results.floor) | results.floor_consistency)
    )
    with_reported = any("fid_reported" in row for row in rows)
    columns = [
        GROUP,
        ROW,
        *SETTINGS,
        *(shared.REPORTED_COLUMNS if with_reported else ()),
        *shared.extractor_columns(results.params),
    ]
    columns += [shared.CONSISTENCY, shared.TV, *shared.PRDC_COLUMNS[:2], GUIDES_VIEW, *GRADIENTS]
    warnings = shared.evaluation_warnings([*(row.run for row in results.rows), results.floor])
    return TEXTS(
        "two_stage", spread_note=shared.SPREAD_NOTE, reported=" " + shared.REPORTED_NOTES[1] if with_reported else ""
    ).table(columns, rows, _facts(results), warnings)


def class_consistency(results: TwoStageRows) -> Table:
    """Class consistency of every row whose prior has classes, by class."""
    classes = results.floor.classes

    def by_class(values: Mapping) -> dict[str, Value]:
        cells = dict(zip(classes, values["class_consistency_per_class"], strict=True))
        return {"all": values["class_consistency"]} | cells

    rows = [_row(row) | by_class(row.values) for row in results.rows if row.has_classes]
    rows.append(shared.floor_row("group", by_class(results.floor_consistency)))
    group = "class consistency, %"
    columns = [GROUP, ROW, *(Column(name, name, group, digits=1, scale=100) for name in ("all", *classes))]
    return TEXTS("class_consistency", chance=100 / len(classes)).table(
        columns, rows, _facts(results), spell_groups=False
    )


def tail(results: TwoStageRows) -> list[Table]:
    """Many, medium and few classes, where study 2 is trained on a long tail; else none."""
    if "num_few" not in results.floor.values:
        return []
    rows = [_row(row) | row.run.cells for row in results.rows] + [shared.floor_row("group", results.floor.cells)]
    columns = [GROUP, ROW, *shared.TAIL_COLUMNS]
    return [TEXTS("long_tail_two_stage", tail_note=shared.TAIL_NOTE).table(columns, rows, _facts(results))]


def priors(results: TwoStageRows) -> Table:
    """Every prior at hand, at stage 1 and after a stage 2 of equal settings."""
    chosen = results.placements()
    rows = [
        shared.score_cells(results.params, row.run) | {"prior": prior, "row": row.name}
        for prior, placed in chosen.items()
        for row in placed
    ]
    columns = [column("prior", group=""), column("row", title="images of"), *shared.extractor_columns(results.params)]
    columns += [shared.CONSISTENCY, shared.TV, *shared.PRDC_COLUMNS[:2]]
    length = 8 * math.sqrt(results.params.latent_dim)
    notes = "; ".join(PRIORS[prior].format(length=length) for prior in chosen)
    return TEXTS("priors", notes=notes).table(columns, rows, _facts(results))


def hybrid(results: TwoStageRows) -> Table:
    """Study 1b: the codes against N(0, I) at three moments, and the hybrid's scores beside the plain GAN's."""
    found, settings = results.runs[HYBRID], results.params.hybrid
    rows: list[Mapping[str, Value]] = [
        {"of": title} | {test.key: found.values[f"{test.key}_{moment}"] for test in CODE_TESTS}
        for moment, title in MOMENTS.items()
    ]
    beside = {"images, hybrid": found, "images, GAN (study 1)": results.runs.get(results.plain_gan)}
    rows += [
        shared.score_cells(results.params, run) | {"of": title} for title, run in beside.items() if run is not None
    ]
    rows.append(shared.floor_row("of", shared.score_cells(results.params, results.floor)))
    columns = [
        Column("of", "of"),
        *CODE_TESTS,
        *shared.extractor_columns(results.params),
        shared.TV,
        *shared.PRDC_COLUMNS[:2],
    ]
    facts = _facts(results) | {"codes": f"{settings.num_codes:,}, {settings.permutations:,} permutations"}
    return TEXTS("hybrid").table(columns, rows, facts)


def over_seeds(results: TwoStageRows) -> list[Table]:
    """Rows that differ in their seed alone; none where there are none."""
    rows = [Repeated(rows[0].name, {row.settings.seed: row.run for row in rows}) for rows in results.repeats()]
    return [spreads("seeds_two_stage", results, rows, (shared.FID, shared.CONSISTENCY, GUIDES_VIEW))] if rows else []


def timings(results: TwoStageRows) -> Table:
    """What every run took, how many parameters its adapters have, and how far their start moved the images."""
    more = columns("adapter_parameters", "start_mse")
    note = "Start's MSE: between stage 1's images and the adapted generator's before training, pixels in [-1, 1]."
    runs = [*(row.run for row in results.rows), results.runs[HYBRID]]
    return trainings.timings("runs_two_stage", results, runs, more, note)


def _row(row: Row) -> dict[str, Value]:
    """Its names and settings."""
    settings, stage2 = row.settings, row.stage2
    cells: dict[str, Value] = {"group": row.group, "row": row.name, "run": row.run_name, "quiet": row.group == STAGE1}
    cells |= {"prior": settings.prior, "batch_size": settings.batch_size, "seed": settings.seed}
    if stage2 is None:
        return cells | {"n_gen": settings.stage1_n_gen}
    return cells | {"n_gen": stage2.n_gen, "weight": stage2.ce_loss_weight, "layers": _layers(stage2)}


def _layers(settings: GANConfig) -> str:
    """What stage 2 trains."""
    layers = {
        "input": settings.add_stage2_input,
        f"FF {settings.sft_ff_dim}": settings.add_stage2_ff,
        f"conv {settings.sft_conv_hidden}": settings.add_stage2_conv,
    }
    start = ", random start" if settings.has_adapters and settings.adapter_start == "random" else ""
    return (" + ".join(layer for layer, added in layers.items() if added) or "generator") + start


def _measured(results: TwoStageRows, row: Row) -> dict[str, Value]:
    cells = shared.score_cells(results.params, row.run, row.printed())
    if not row.is_guided:
        return cells
    return cells | dict(zip((column.key for column in GRADIENTS), row.gradient_facts(), strict=True))


def _facts(results: TwoStageRows) -> Mapping[str, str]:
    params, guide = results.params, results.runs[shared.GUIDE]
    long_tail = params.two_stage.split in params.split.long_tailed
    reference, seeds = (
        "the balanced training set" if long_tail else "the training images",
        "training as in the table of scores",
    )
    facts = shared.score_facts(results, [row.run for row in results.rows], [results.floor], reference, seeds)
    network, accuracy = params.classifiers[shared.GUIDE].network, guide.values["accuracy"]
    budget = (
        f"stage 1 {params.stage1_epochs} epochs or {params.stage1_max_generator_steps:,} generator steps, "
        f"stage 2 {params.stage2_epochs} or {params.stage2_max_generator_steps:,}, whichever is less"
    )
    guided_by = f"{shared.GUIDE} ({network}, {accuracy:.1%} right on real test images)"
    return facts | {"guide": guided_by, "widths": f"ngf {params.ngf}, ndf {params.ndf}", "budget": budget}

"""The tables of studies 1b and 2; their titles, captions and fixed columns are in texts.yaml."""

import math
from collections.abc import Mapping

from modescope.config import GANConfig
from modescope.report import scores as shared
from modescope.report import trainings
from modescope.report.page import GLANCE
from modescope.report.seeds import Repeated, spreads
from modescope.report.tables import Table, Value, columns
from modescope.studies.two_stage.rows import HYBRID, STAGE1, TEXTS, Row, TwoStageRows

MOMENTS = {"untrained": "codes, untrained", "vae": "codes, VAE trained alone", "joint": "codes, trained jointly"}


def summary(results: TwoStageRows) -> Table:
    """Rows that stand for an architecture, with their settings."""
    return TEXTS("two_stage_summary").table(_summary_rows(results), _facts(results))


def glance(results: TwoStageRows) -> Table:
    """The same rows with their scores alone."""
    return TEXTS(GLANCE).table(_summary_rows(results), {"profile": results.profile})


def _summary_rows(results: TwoStageRows) -> list[Mapping[str, Value]]:
    rows = [_row(row) | row.run.cells for row in results.at_a_glance]
    cells = results.floor.cells | results.floor_consistency | {"run": f"{results.floor.name} {shared.JUDGE}"}
    return [*rows, shared.floor_row("group", cells)]


def scores(results: TwoStageRows) -> Table:
    """Table 5: every row with its settings, beside what report 1 printed for it."""
    rows = [_row(row) | _measured(row) for row in results.rows]
    floor = shared.score_cells(results.params, results.floor) | results.floor_consistency
    rows.append(shared.floor_row("group", floor))
    warnings = shared.evaluation_warnings([*(row.run for row in results.rows), results.floor])
    reported = " " + shared.REPORTED_NOTES[1] if any("fid_reported" in row for row in rows) else ""
    text = TEXTS("two_stage", spread_note=shared.SPREAD_NOTE, reported=reported)
    return text.table(rows, _facts(results), notes=warnings)


def class_consistency(results: TwoStageRows) -> Table:
    """Class consistency of every row whose prior has classes, by class."""
    classes = results.floor.classes

    def by_class(values: Mapping) -> dict[str, Value]:
        return shared.class_cells(classes, values["class_consistency"], values["class_consistency_per_class"])

    rows = [_row(row) | by_class(row.values) for row in results.rows if row.has_classes]
    rows.append(shared.floor_row("group", by_class(results.floor_consistency)))
    columns = shared.class_columns(classes, "class consistency, %")
    return TEXTS("class_consistency", chance=100 / len(classes)).table(rows, _facts(results), columns)


def tail(results: TwoStageRows) -> list[Table]:
    """Many, medium and few classes, where study 2 is trained on a long tail; else none."""
    if "num_few" not in results.floor.values:
        return []
    rows = [_row(row) | row.run.cells for row in results.rows] + [shared.floor_row("group", results.floor.cells)]
    text = TEXTS("long_tail_two_stage", tail_note=shared.TAIL_NOTE)
    return [text.table(rows, _facts(results), shared.TAIL_COLUMNS)]


def priors(results: TwoStageRows) -> Table:
    """Every prior at hand, at stage 1 and after a stage 2 of equal settings."""
    chosen = results.placements()
    rows = [
        shared.score_cells(results.params, row.run) | {"prior": prior, "row": row.name}
        for prior, placed in chosen.items()
        for row in placed
    ]
    length = 8 * math.sqrt(results.params.latent_dim)
    notes = "; ".join(TEXTS(f"prior_{prior}", length=length).caption for prior in chosen)
    return TEXTS("priors", notes=notes).table(rows, _facts(results))


def hybrid(results: TwoStageRows) -> Table:
    """Study 1b: the codes against N(0, I) at three moments, and the hybrid's scores beside the plain GAN's."""
    params, found, gan = results.params, results.runs[HYBRID], results.runs.get(results.plain_gan)
    tests = ("ks_rejected", "ks_max", "mmd", "mmd_p")
    rows: list[Mapping[str, Value]] = [
        {"of": title} | {test: found.values[f"{test}_{moment}"] for test in tests} for moment, title in MOMENTS.items()
    ]
    rows.append(shared.score_cells(params, found) | {"of": "images, hybrid"})
    rows += [shared.score_cells(params, gan) | {"of": "images, GAN (study 1)"}] if gan else []
    rows.append(shared.floor_row("of", shared.score_cells(params, results.floor)))
    codes = f"{params.hybrid.num_codes:,}, {params.hybrid.permutations:,} permutations"
    return TEXTS("hybrid").table(rows, _facts(results) | {"codes": codes})


def over_seeds(results: TwoStageRows) -> list[Table]:
    """Rows that differ in their seed alone; none where there are none."""
    rows = [Repeated(rows[0].name, {row.settings.seed: row.run for row in rows}) for rows in results.repeats()]
    metrics = columns("fid_classifier", "class_consistency", "guide_consistency")
    note = "Every seed is a row of the other tables. Some rows start from a stage 1 of another seed, too."
    return [spreads("seeds_two_stage", results, rows, metrics, note)] if rows else []


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
    layers = [
        *(["input"] if settings.add_stage2_input else []),
        *([f"FF {settings.sft_ff_dim}"] if settings.add_stage2_ff else []),
        *([f"conv {settings.sft_conv_hidden}"] if settings.add_stage2_conv else []),
    ]
    start = ", random start" if settings.has_adapters and settings.adapter_start == "random" else ""
    return (" + ".join(layers) or "generator") + start


def _measured(row: Row) -> dict[str, Value]:
    cells = shared.score_cells(row.results.params, row.run, row.printed())
    names = ("gradient_ratio", "gradient_cosine")
    return cells | (dict(zip(names, row.gradient_facts(), strict=True)) if row.is_guided else {})


def _facts(results: TwoStageRows) -> Mapping[str, str]:
    params, guide = results.params, results.runs[shared.GUIDE]
    long_tail = params.two_stage.split in params.split.long_tailed
    reference = "the balanced training set" if long_tail else "the training images"
    runs, seeds = [row.run for row in results.rows], "training as in the table of scores"
    network, accuracy = params.classifiers[shared.GUIDE].network, guide.values["accuracy"]
    budget = (
        f"stage 1 {params.stage1_epochs} epochs or {params.stage1_max_generator_steps:,} generator steps, "
        f"stage 2 {params.stage2_epochs} or {params.stage2_max_generator_steps:,}, whichever is less"
    )
    return shared.score_facts(results, runs, [results.floor], reference, seeds) | {
        "guide": f"{shared.GUIDE} ({network}, {accuracy:.1%} right on real test images)",
        "widths": f"ngf {params.ngf}, ndf {params.ndf}",
        "budget": budget,
    }

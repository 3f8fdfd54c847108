"""The tables of studies 1b and 2."""

import math
from collections.abc import Mapping

from modescope.config import GANConfig
from modescope.report import trainings
from modescope.report.figures import FLOOR
from modescope.report.results import Results, Run
from modescope.report.scores import (
    GUIDE,
    PRDC_COLUMNS,
    REPORTED_COLUMNS,
    REPORTED_NOTES,
    SPREAD_NOTE,
    TAIL_COLUMNS,
    TAIL_NOTE,
    evaluation_warnings,
    extractor_columns,
    score_cells,
    score_facts,
)
from modescope.report.seeds import Repeated, spreads
from modescope.report.tables import Column, Table, Value
from modescope.studies.two_stage.rows import (
    HYBRID,
    STAGE1,
    Row,
    all_rows,
    consistency,
    floor,
    floor_consistency,
    gradient_facts,
    placements,
    plain_gan,
    repeats,
    reported,
    representatives,
    run,
)

GROUP, ROW = Column("group", "architecture"), Column("row", "row")
CONSISTENCY = Column("class_consistency", "class consistency, % ↑", "judge", digits=1, scale=100)
GUIDES_VIEW = Column("guide_consistency", "class consistency, %", "guide", digits=1, scale=100)
FID = Column("fid_classifier", "FID ↓", "judge")
TV = Column("class_share_tv", "TV of class shares ↓", "judge", digits=3)
SETTINGS = (
    Column("weight", "λ", "setting", digits=1),
    Column("n_gen", "n", "setting"),
    Column("layers", "trained layers", "setting"),
    Column("prior", "prior", "setting"),
    Column("batch_size", "batch", "setting"),
    Column("seed", "seed", "setting"),
)
PRIORS = {
    "diagonal": "diagonal (the report's text): means 0.5 k 1, variance 1",
    "sphere": "sphere (its code): means of length 8 √d in random directions, variance 0.5, so that |z| is near {length:.0f} and saturates the generator",
    "orthogonal": "orthogonal (ours): pairwise orthogonal means of one length, second moment 1 per dimension",
    "normal": "normal: N(0, I), which has no classes",
}
MOMENTS = {"untrained": "codes, untrained", "vae": "codes, VAE trained alone", "joint": "codes, trained jointly"}


def summary(results: Results) -> Table:
    """Of every architecture the row that stands for it and the one that is most consistent, under the stage 1 that each
    starts from.
    """
    chosen = representatives(results.params)
    guided = [row for row in all_rows(results.params) if row.is_guided]
    best = [
        max((row for row in guided if row.group == group), key=lambda row: consistency(results, row))
        for group in chosen
        if group != STAGE1
    ]
    names = {name for row in (*chosen.values(), *best) for name in (row.name, row.start)}
    rows = [
        _identity(row) | _settings(row) | run(results, row).scalars
        for row in all_rows(results.params)
        if row.name in names
    ]
    rows.append({"group": FLOOR.label, **floor(results).scalars, **floor_consistency(results)})
    columns = [
        *(GROUP, ROW, Column("layers", "trained layers"), Column("prior", "prior")),
        *(CONSISTENCY, GUIDES_VIEW, FID, Column("recall", "recall ↑", "judge", digits=3)),
    ]
    caption = (
        "Class consistency: images that are seen in the class of their mixture component, by the judge, which no generator knows, and by the guide that taught stage 2. "
        "Of every architecture the row nearest to the top of params.yaml and the most consistent one."
    )
    return Table("two_stage_summary", "Study 2 at a glance", columns, rows, caption, _facts(results))


def scores(results: Results) -> Table:
    """Table 5: every row with its settings, beside what report 1 printed for it."""
    rows = [_identity(row) | _settings(row) | _measured(results, row) for row in all_rows(results.params)]
    rows.append({"group": FLOOR.label, **score_cells(results.params, floor(results), {}), **floor_consistency(results)})
    with_reported = any("fid_reported" in row for row in rows)
    columns = [
        *(GROUP, ROW, *SETTINGS),
        *(REPORTED_COLUMNS if with_reported else ()),
        *extractor_columns(results.params),
        *(CONSISTENCY, TV, *PRDC_COLUMNS[:2], GUIDES_VIEW),
        Column("gradient_ratio", "class / adversarial", "gradients"),
        Column("gradient_cosine", "cosine", "gradients"),
    ]
    caption = (
        "As report 1's table 5: λ weights the guide's cross-entropy, n generator steps follow each of the discriminator's. "
        "Class consistency: images that the judge sees in the class of their component; for real images it is the judge's accuracy; the guide's "
        "view of its own pupils stands beside it. Gradients of the two terms at the images: their lengths' ratio and the cosine between them, means over training. "
        f"{SPREAD_NOTE}{' ' + REPORTED_NOTES[1] if with_reported else ''}"
    )
    quiet = frozenset(index for index, row in enumerate(rows) if row["group"] in (STAGE1, FLOOR.label))
    warnings = evaluation_warnings([*(run(results, row) for row in all_rows(results.params)), floor(results)])
    return Table(
        "two_stage", "Two-stage GAN: scores of every row", columns, rows, caption, _facts(results), warnings, quiet
    )


def class_consistency(results: Results) -> Table:
    """Class consistency of every row whose prior has classes, by class."""
    classes = floor(results).classes
    shown = [(_identity(row), run(results, row).values) for row in all_rows(results.params) if row.has_classes]
    measured = [*shown, ({"group": FLOOR.label}, floor_consistency(results))]
    rows = [
        identity
        | {"all": values["class_consistency"]}
        | dict(zip(classes, values["class_consistency_per_class"], strict=True))
        for identity, values in measured
    ]
    columns = [
        GROUP,
        ROW,
        *(Column(name, name, "class consistency, %", digits=1, scale=100) for name in ("all", *classes)),
    ]
    caption = (
        "Of the images intended for a class, the part that the judge sees in it, in percent. "
        f"By chance: {100 / len(classes):.0f} %. For real images: how often the judge is right."
    )
    quiet = frozenset(index for index, row in enumerate(rows) if row["group"] in (STAGE1, FLOOR.label))
    return Table(
        "class_consistency",
        "Class consistency of every class",
        columns,
        rows,
        caption,
        _facts(results),
        (),
        quiet,
        False,
    )


def tail(results: Results) -> list[Table]:
    """Many, medium and few classes, where study 2 is trained on a long tail; else none."""
    if "num_few" not in floor(results).values:
        return []
    rows = [_identity(row) | run(results, row).scalars for row in all_rows(results.params)] + [
        {"group": FLOOR.label, **floor(results).scalars}
    ]
    caption = f"{TAIL_NOTE} Images are sorted by their mixture component, those of a prior without classes and real ones by the judge."
    return [
        Table(
            "long_tail_two_stage",
            "Long tail, against the balanced set",
            [GROUP, ROW, *TAIL_COLUMNS],
            rows,
            caption,
            _facts(results),
        )
    ]


def priors(results: Results) -> Table:
    """Every prior at hand, at stage 1 and after a stage 2 of equal settings."""
    chosen = placements(results.params)
    rows = [
        {"prior": prior, "row": row.name, **score_cells(results.params, run(results, row), {})}
        for prior, placed in chosen.items()
        for row in placed
    ]
    columns = [
        *(Column("prior", "prior"), Column("row", "images of")),
        *extractor_columns(results.params),
        *(CONSISTENCY, TV, *PRDC_COLUMNS[:2]),
    ]
    length = 8 * math.sqrt(results.params.latent_dim)
    notes = "; ".join(PRIORS[prior].format(length=length) for prior in chosen)
    caption = (
        f"Where the prior puts its components: stage 1, and stage 2 from there with equal settings. Priors: {notes}."
    )
    return Table("priors", "Prior placement", columns, rows, caption, _facts(results))


def hybrid(results: Results) -> Table:
    """Study 1b: the codes against N(0, I) at three moments, and the hybrid's scores beside the plain GAN's."""
    found, settings = results.runs[HYBRID], results.params.hybrid
    rows: list[dict[str, Value]] = [
        {"of": title} | {test: found.values[f"{test}_{moment}"] for test in ("ks_rejected", "ks_max", "mmd", "mmd_p")}
        for moment, title in MOMENTS.items()
    ]
    beside = {
        "images, hybrid": found,
        "images, GAN (study 1)": results.runs.get(plain_gan(results.params)),
        FLOOR.label: floor(results),
    }
    rows += [{"of": title, **score_cells(results.params, of, {})} for title, of in beside.items() if of is not None]
    columns = [
        Column("of", "of"),
        Column("ks_rejected", "KS rejects, % of dimensions", "codes against N(0, I)", digits=0, scale=100),
        Column("ks_max", "largest KS", "codes against N(0, I)", digits=3),
        Column("mmd", "MMD²", "codes against N(0, I)", digits=4),
        Column("mmd_p", "p of MMD", "codes against N(0, I)", digits=3),
        *extractor_columns(results.params),
        *(TV, *PRDC_COLUMNS[:2]),
    ]
    caption = (
        "The encoder's codes against N(0, I): a Kolmogorov-Smirnov test per dimension (5 %, Holm's correction) and the maximum mean "
        "discrepancy with a permutation test; then the images. Report 1 gives no number for its hybrid."
    )
    facts = _facts(results) | {"codes": f"{settings.num_codes:,}, {settings.permutations:,} permutations"}
    return Table(
        "hybrid", "VAE-GAN hybrid: codes and images", columns, rows, caption, facts, (), frozenset({len(rows) - 1})
    )


def over_seeds(results: Results) -> list[Table]:
    """Rows that differ in their seed alone; none where there are none."""
    rows = [
        Repeated(rows[0].name, {row.settings.seed: run(results, row) for row in rows})
        for rows in repeats(results.params)
    ]
    return [spreads("seeds_two_stage", results, rows, (FID, CONSISTENCY, GUIDES_VIEW))] if rows else []


def timings(results: Results) -> Table:
    """What every training took, how many parameters its adapters have, and how far their start moved the images."""
    more = (
        Column("adapter_parameters", "parameters", "adapters"),
        Column("start_mse", "start's MSE", "adapters", digits=4),
    )
    note = "Start's MSE: between stage 1's images and the adapted generator's before training, pixels in [-1, 1]."
    runs = [*(run(results, row) for row in all_rows(results.params)), results.runs[HYBRID]]
    return trainings.timings("runs_two_stage", results, runs, more, note)


def _identity(row: Row) -> dict[str, Value]:
    return {"group": row.group, "row": row.name}


def _settings(row: Row) -> dict[str, Value]:
    settings, stage2 = row.settings, row.stage2
    common = {"prior": settings.prior, "batch_size": settings.batch_size, "seed": settings.seed}
    if stage2 is None:
        return common | {"n_gen": settings.stage1_n_gen}
    return common | {"n_gen": stage2.n_gen, "weight": stage2.ce_loss_weight, "layers": _layers(stage2)}


def _layers(settings: GANConfig) -> str:
    """What stage 2 trains."""
    if not settings.has_adapters:
        return "generator"
    layers = [
        *(["input"] if settings.add_stage2_input else []),
        *([f"FF {settings.sft_ff_dim}"] if settings.add_stage2_ff else []),
        *([f"conv {settings.sft_conv_hidden}"] if settings.add_stage2_conv else []),
    ]
    return " + ".join(layers) + (", random start" if settings.adapter_start == "random" else "")


def _measured(results: Results, row: Row) -> dict[str, Value]:
    cells = score_cells(results.params, run(results, row), reported(results, row))
    if not row.is_guided:
        return cells
    ratio, cosine = gradient_facts(results, row)
    return cells | {"gradient_ratio": ratio, "gradient_cosine": cosine}


def _facts(results: Results) -> Mapping[str, str]:
    params, guide = results.params, results.runs[GUIDE]
    generated: list[Run] = [run(results, row) for row in all_rows(params)]
    reference = (
        "the balanced training set" if params.two_stage.split in params.split.long_tailed else "the training images"
    )
    facts = score_facts(results, generated, [floor(results)], reference, "training as in the table of scores")
    budget = (
        f"stage 1 {params.stage1_epochs} epochs or {params.stage1_max_generator_steps:,} generator steps, "
        f"stage 2 {params.stage2_epochs} or {params.stage2_max_generator_steps:,}, whichever is less"
    )
    guide_facts = (
        f"{GUIDE} ({params.classifiers[GUIDE].network}, {guide.values['accuracy']:.1%} right on real test images)"
    )
    return facts | {"guide": guide_facts, "widths": f"ngf {params.ngf}, ndf {params.ndf}", "budget": budget}

"""Study 3's tables; their titles, captions and fixed columns are in texts.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modescope.report import scores as shared
from modescope.report import trainings
from modescope.report.claims import grouped
from modescope.report.figures import FLOOR
from modescope.report.page import GLANCE
from modescope.report.results import Run
from modescope.report.tables import Column, Table, Value, column
from modescope.report.wording import span
from modescope.studies.cgan.rows import LABELLED, MODES, STACKED_REAL, TEXTS, CganRows, Row

PERCENT = replace(shared.CONSISTENCY, digits=2)
WITHIN = {"ms_ssim": "MS-SSIM ↓", "recall_per_class": "recall ↑", "coverage_per_class": "coverage ↑"}


def summary(results: CganRows) -> Table:
    """A line per loss: the judge's FID with and without labels, class consistency, steps; ours; the floor."""
    return replace(glance(results), name="cgan_summary", facts=_facts(results))


def glance(results: CganRows) -> Table:
    """The same with less of what it rests on."""
    params, best = results.params, results.best
    modes = [mode for mode in MODES if mode in params.cgan.modes or (mode == LABELLED and best)]

    def cells(found: Run, modes: Sequence[str]) -> dict[str, Value]:
        fids = {f"fid/{mode}": found.values["fid_classifier"] for mode in modes}
        return found.cells | fids | {"steps": found.info.get("steps")}

    lines: dict[str, dict[str, Value]] = {loss: {"row": loss} for loss in params.cgan.losses}
    for mode in reversed(modes):  # the cells of a row with labels replace those of one without
        for row in results.published(mode):
            line = lines[row.config.loss]
            runs = f"{row.name} {line.get('run', '')}".strip()
            lines[row.config.loss] = line | cells(row.run, [mode]) | {"run": runs}
    rows: list[Mapping[str, Value]] = list(lines.values())
    if best:
        rows.append(cells(best.run, [LABELLED]) | {"row": f"{best.name} ({best.config.loss})"})
    rows.append(shared.floor_row("row", cells(results.floor, modes)))
    columns = [Column(f"fid/{mode}", MODES[mode].label, "FID ↓, judge", digits=3) for mode in modes]
    columns += [replace(PERCENT, group="")] if LABELLED in modes else []
    text = TEXTS(GLANCE, note=" Of our rows the most consistent one." if best else "")
    return text.table(rows, {"profile": results.profile}, [*columns, column("steps")])


def scores(results: CganRows) -> Table:
    """Table 6.1 for every row: scores, consistency and speed beside what report 2 printed."""
    rows = [_row(row) | _measured(row) for row in results.rows]
    rows.append(shared.floor_row("mode", shared.score_cells(results.params, results.floor)))
    reported = f" {shared.REPORTED_NOTES[2]} Its FIDs of dcgan-bce and dcgan-lsgan are read off a figure."
    reported = reported if any("fid_reported" in row for row in rows) else ""
    warnings = shared.evaluation_warnings([*(row.run for row in results.rows), results.floor])
    text = TEXTS("cgan", spread_note=shared.SPREAD_NOTE, reported=reported)
    return text.table(rows, _facts(results), notes=warnings)


def class_consistency(results: CganRows) -> Table:
    """Class consistency of every row with labels, by class, and how many classes one z gives."""

    def by_digit(values: Mapping) -> dict[str, Value]:
        return shared.class_cells(results.digits, values["class_consistency"], values["class_consistency_per_class"])

    rows: list[Mapping] = [_row(row) | by_digit(row.values) | _fixed_z(row.run) for row in results.labelled]
    rows.append(shared.floor_row("row", by_digit(results.floor.values)))
    text = TEXTS("cgan_consistency", fixed_z=_fixed_z_note(results))
    row, *fixed_z = text.columns
    columns = (row, *shared.class_columns(results.digits, "class consistency, % ↑"), *fixed_z)
    return text._replace(columns=columns).table(rows, _facts(results))


def pixel_std(results: CganRows) -> Table:
    """Table 8.1: the standard deviation of a class's pixels, beside what report 2 printed."""
    measured = {row.label: row.values["pixel_std"] for row in results.shown}
    measured["real images"] = results.floor.values["pixel_std"]
    printed = {row.label: values for row in results.shown if (values := row.printed_pixel_std())}
    columns = [Column(label, label, "measured", digits=3) for label in measured]
    columns += [Column(f"{label}_reported", label, "reported", digits=3) for label in printed]
    cells = measured | {f"{label}_reported": values for label, values in printed.items()}
    rows: list[dict[str, Value]] = [
        {"digit": digit} | {key: values[index] for key, values in cells.items()}
        for index, digit in enumerate(results.digits)
    ]
    rows.append({"digit": "mean", "quiet": True} | {key: sum(v) / len(v) for key, v in cells.items()})
    return TEXTS("cgan_pixel_std").table(rows, _facts(results), columns)


def diversity(results: CganRows) -> Table:
    """MS-SSIM, recall and coverage within every class, of the rows that figures show and of real images."""
    sources = {row.label: row.run for row in results.shown} | {FLOOR.label: results.floor}
    rows = [
        {"measure": title, "row": label, "quiet": label == FLOOR.label}
        | shared.class_cells(
            results.digits, sum(found.values[metric]) / len(found.values[metric]), found.values[metric]
        )
        for metric, title in WITHIN.items()
        for label, found in sources.items()
    ]
    return TEXTS("cgan_diversity").table(rows, _facts(results), shared.class_columns(results.digits, "class", 3, 1))


def ours(results: CganRows) -> Table:
    """Our rows under the published rows of their losses, with what they change: families in our rows' order."""
    families = grouped(results.rows, lambda row: (row.config.mode, row.config.loss))
    shown = dict.fromkeys((row.config.mode, row.config.loss) for row in results.rows if row.is_ours)
    rows = [
        _row(row) | _measured(row) | _fixed_z(row.run) | {"changes": _changes(row), "quiet": not row.is_ours}
        for family in shown
        for row in families[family]
    ]
    return TEXTS("cgan_ours", note=_fixed_z_note(results)).table(rows, _facts(results))


def stacked(results: CganRows) -> Table:
    """How many of the modes of stacked digits every loss covers, and real digits."""
    params = results.params
    rows = [found.cells | {"loss": loss} for loss, found in results.stacked.items()]
    rows.append(shared.floor_row("loss", results.runs[STACKED_REAL].cells))
    steps = span([params.stacked_config(loss).generator_steps for loss in params.stacked.losses], 0)
    facts = {
        "data": shared.data_names(results.stacked.values()),
        "judge": shared.judge_fact(results, shared.GREY_JUDGE),
        "budget": f"{steps} generator steps on {params.stacked.num_images:,} images",
        "seeds": f"training {params.seed}, evaluation {params.evaluation.seed}",
        "profile": results.profile,
    }
    return TEXTS("stacked", enough=params.stacked.enough, modes=results.num_modes, **results.words).table(rows, facts)


def over_seeds(results: CganRows) -> list[Table]:
    """Rows trained with several seeds, and the difference between any two of them."""
    return results.seeds.tables("_cgan", (shared.FID, PERCENT, shared.RECALL))


def timings(results: CganRows) -> Table:
    """What every training run took and on what."""
    runs = [*(row.run for row in results.rows), *results.stacked.values()]
    return trainings.timings("runs_cgan", results, runs + [results.runs[name] for name in results.seeds.further])


def _row(row: Row) -> dict[str, Value]:
    return {"mode": row.config.mode, "loss": row.config.loss, "row": row.name, "run": row.name}


def _measured(row: Row) -> dict[str, Value]:
    speed = row.values["steps_per_second"] * row.config.batch_size
    return shared.score_cells(row.results.params, row.run, row.printed()) | {"images_per_second": speed}


def _fixed_z(found: Run) -> dict[str, Value]:
    counts: Sequence[int] = found.values.get("fixed_z_classes", ())
    mean = {"fixed_z_mean": sum(counts) / len(counts)} if counts else {}
    return mean | ({"fixed_z_all": counts.count(len(found.classes))} if counts else {})


def _fixed_z_note(results: CganRows) -> str:
    counts = [len(row.values["fixed_z_classes"]) for row in results.labelled]
    return TEXTS("fixed_z_note", count=span(counts, 0)).caption if counts else ""


def _changes(row: Row) -> str | None:
    """Settings in which a row of ours differs from its loss's published one."""
    if not row.is_ours:
        return None
    base = row.results.params.cgan.resolve({"mode": row.config.mode, "loss": row.config.loss}, "cgan")
    changed = [f"{name} {value}" for name, value in row.config if value != getattr(base, name)]
    return ", ".join(changed).replace("None", "none") or "nothing"


def _facts(results: CganRows) -> Mapping[str, str]:
    params, rows = results.params, results.rows
    runs, seeds = [row.run for row in rows], f"training {params.seed}"
    facts = shared.score_facts(results, runs, [results.floor], "the training images", seeds, shared.GREY_JUDGE)
    widths = {of: getattr(params.cgan.training, f"{of}_width") for of in ("generator", "discriminator", "critic")}
    budget = f"{span([row.config.generator_steps for row in rows], 0)} generator steps"
    return facts | {"widths": ", ".join(f"{of} {width}" for of, width in widths.items()), "budget": budget}

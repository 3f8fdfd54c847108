"""What study 3 found: the numbers that fill the sentences of texts.yaml."""

from dataclasses import replace
from functools import partial
from statistics import mean, stdev

from modescope.report.claims import CONSISTENCY, FID, RECALL, Claim, Metric, leaders, ranking
from modescope.report.inside import copies, name_of
from modescope.report.page import Finding
from modescope.report.wording import listing, span
from modescope.studies.cgan.rows import CRITIC, LABELLED, MODES, NAME, STACKED_REAL, TEXTS, CganRows, Row, extractors

PERCENT = replace(CONSISTENCY, digits=2, unit=" %")
JUDGES_FID = replace(FID, digits=3)
PIXEL_STD = Metric("pixel_std", "pixel_std", lower=False, kind="size", digits=3)
RECALL_WITHIN = Metric("recall_per_class", "recall within a class", lower=False, kind="share", digits=3)
MS_SSIM = Metric("ms_ssim", "MS-SSIM", lower=True, kind="size", digits=3)
MODES_COVERED = Metric("modes_covered", "modes", lower=False, kind="share", digits=0)


def findings(results: CganRows) -> list[Finding]:
    """From losses and their start to stacked digits and speed: those that the profile has rows for."""
    found = [_losses]
    found += [_initialization] if results.started else []
    found += [_consistency] if results.shown else []
    found += [_ablation] if _variants(results) else []
    found += [_labels] if set(MODES) <= set(results.params.cgan.modes) else []
    found += [_diversity, _fixed_z] if results.shown else []
    found += [_lost, partial(copies, study=NAME)] if results.inside(NAME) else []
    found += [_stacked]
    found += [_speed] if all(_speeds(results, mode) for mode in results.params.cgan.modes) else []
    return [find(results) for find in found]


def _losses(results: CganRows) -> Finding:
    """In every mode and by every extractor."""
    parts = []
    for of in extractors(results.params):
        metric = replace(FID, key=of.fid, digits=of.digits)
        for mode in results.params.cgan.modes:
            runs = {row.config.loss: row.run for row in results.published(mode)}
            order = f"{MODES[mode].label}, of {of.name}: {ranking(metric, runs, results.floor)}"
            parts.append(f"{order} (real images {results.floor.values[of.fid]:.3f})")
    printed = {row.config.loss: row.printed()["fid"] for row in results.published(LABELLED) if row.printed()}
    order = ", ".join(f"{loss} {printed[loss]:.2f}" for loss in sorted(printed, key=printed.__getitem__))
    reported = f"Report 2 has, with labels, of Inception's features: {order}. " if printed else ""
    alike = " (≈: the difference is within the margin)" if any("≈" in part for part in parts) else ""
    return TEXTS.finding("losses", reported=reported, orders="; ".join(parts), alike=alike, seeds=_over_seeds(results))


def _over_seeds(results: CganRows) -> str:
    """The judge's FID of the rows that are trained with several seeds: what a place in the order is worth."""
    parts = []
    for row, named in results.seeds.names.items():
        fids = [JUDGES_FID.value(results.runs[name]) for name in named.values()]
        parts.append(f"{row} {mean(fids):.2f} ± {stdev(fids):.2f}")
    return f" Over the seeds {listing(list(map(str, results.seeds.seeds)))}: {', '.join(parts)}." if parts else ""


def _scores(row: Row) -> str:
    recall, consistency = RECALL.text(row.run), PERCENT.text(row.run)
    return f"FID {JUDGES_FID.text(row.run)}, recall {recall} and class consistency {consistency}"


def _initialization(results: CganRows) -> Finding:
    """What the start of the weights does, all else equal."""
    parts = [f"{code.label} has {_scores(code)}, with the text's {_scores(text)}" for text, code in results.started]
    return TEXTS.finding("initialization", rows="; ".join(parts))


def _consistency(results: CganRows) -> Finding:
    """Of the report's rows and of our best one."""
    rows, ours = results.published(LABELLED), results.best
    printed = [100 * row.printed()["class_consistency"] for row in rows if row.printed()]
    parts = [f"{row.name} {PERCENT.text(row.run)}" for row in rows]
    if ours:
        lead = ""
        if rows:
            best = max(rows, key=lambda row: PERCENT.value(row.run)).run
            counts = "" if PERCENT.verdict(ours.run, best, results.floor) else ", within the margin"
            gain = 100 * PERCENT.gain(ours.run, best)
            lead = f" ({gain:+.2f} points against the best of the report's rows{counts})"
        parts.append(f"our {ours.name} {PERCENT.text(ours.run)}{lead}")
    reported = f" Report 2 has {span(printed)} % by its own classifier." if printed else ""
    real = PERCENT.text(results.floor)
    return TEXTS.finding("consistency", rows=", ".join(parts), real=real, reported=reported)


def _variants(results: CganRows) -> dict[str, Row]:
    """Our rows that differ from our best one in a single setting, by that setting."""
    ours, found = results.best, {}
    for row in results.labelled if ours else []:
        changed = [f"{name} {value}" for name, value in row.config if value != getattr(ours.config, name)]
        if row.is_ours and len(changed) == 1:
            found[changed[0].replace("None", "none")] = row
    return found


def _ablation(results: CganRows) -> Finding:
    """What each setting of our best row does, all else equal."""
    ours, variants = results.best, _variants(results)
    rows = "; ".join(f"with {setting} {_scores(row)}" for setting, row in variants.items())
    runs = {ours.label: ours.run} | {f"{row.label} ({setting})": row.run for setting, row in variants.items()}
    most = listing(leaders(RECALL, runs, results.floor))
    return TEXTS.finding("ablation", ours=ours.label, scores=_scores(ours), rows=rows, most=most)


def _labels(results: CganRows) -> Finding:
    """Every loss with labels against the same without, by the judge's FID, and over seeds where there are several."""
    pairs = list(zip(*(results.published(mode) for mode in MODES), strict=True))
    claim = Claim(JUDGES_FID, [(row.run, other.run, results.floor) for row, other in pairs])
    names, runs = results.seeds.names, results.runs
    repeated = [pair for pair in pairs if all(row.name in names for row in pair)]
    every = [
        (runs[run], runs[names[other.name][seed]], results.floor)
        for row, other in repeated
        for seed, run in names[row.name].items()
    ]
    losses = listing([row.label for row, _ in repeated])
    seeds = f" With every seed of {losses} the {Claim(JUDGES_FID, every).text('pairs')}." if every else ""
    return TEXTS.finding("labels", reported=_printed_labels(pairs), claim=claim.text("losses"), seeds=seeds)


def _printed_labels(pairs: list[tuple[Row, Row]]) -> str:
    """For which losses report 2 has a lower FID with labels."""
    fids = {row.config.loss: [of.printed().get("fid") for of in (row, other)] for row, other in pairs}
    known = {loss: both for loss, both in fids.items() if all(both)}
    lower = listing([loss for loss, (one, other) in known.items() if one < other])
    return f"Report 2 has a lower FID with labels for {lower or 'no loss'} of {listing(list(known))}. " if known else ""


def _diversity(results: CganRows) -> Finding:
    """Whether pixel_std, the report's measure, distinguishes rows as recall within a class does."""
    rows, real, facts = {row.label: row.run for row in results.shown}, results.floor, {}
    spreads, images = {}, results.params.cgan.per_class_samples * len(real.classes)
    for metric in (PIXEL_STD, replace(RECALL_WITHIN, images=images), MS_SSIM):
        values = [metric.value(run) for run in rows.values()]
        spreads[metric.key] = (max(values) - min(values)) / metric.value(real)
        first = listing(leaders(metric, rows, real))
        facts |= {metric.key: metric.spans(list(rows.values())), f"real_{metric.key}": metric.text(real)}
        facts |= {f"first_{metric.key}": first}
    pixels, recalls = spreads[PIXEL_STD.key], spreads[RECALL_WITHIN.key]
    verdict = ", pixel_std less" if recalls > pixels else " no more than pixel_std does"
    return TEXTS.finding("diversity", **facts, pixels=pixels, recalls=recalls, verdict=verdict)


def _fixed_z(results: CganRows) -> Finding:
    """From how many fixed z every label makes a class of its own."""
    classes = len(results.floor.classes)
    counts = {row.label: list(row.values["fixed_z_classes"]) for row in results.labelled}
    parts = [f"{label} {values.count(classes)} of {len(values)}" for label, values in counts.items()]
    return TEXTS.finding("fixed_z", classes=classes, rows=", ".join(parts), **results.words)


def _lost(results: CganRows) -> Finding:
    """Clusters of real images that the rows lose which are looked into."""
    looks = [results.runs[name] for name in results.inside(NAME)]
    rows = ", ".join(f"{name_of(found)} {found.values['clusters_lost']}" for found in looks)
    clusters, real = (looks[0].values[name] for name in ("num_clusters", "clusters_lost_test"))
    return TEXTS.finding("lost", clusters=clusters, rows=rows, real=real)


def _stacked(results: CganRows) -> Finding:
    """Modes that each loss covers, and which covers most."""
    runs, real = results.stacked, results.runs[STACKED_REAL]
    most = leaders(replace(MODES_COVERED, out_of=results.num_modes), runs, real)
    lead = f"{listing(most)} {'covers' if len(most) == 1 else 'cover'} most"
    lead += "" if len(most) == 1 else ", with differences within the margin"
    *losses, floor = [
        f"{name} {run.values['modes_covered']:,} ({run.values['modes_enough']:,})"
        for name, run in (*runs.items(), (f"real {results.words['images']}", real))
    ]
    enough, samples = results.params.stacked.enough, real.values["num_samples"]
    return TEXTS.finding(
        "stacked",
        modes=results.num_modes,
        lead=lead,
        enough=enough,
        samples=samples,
        losses=", ".join(losses),
        real=floor,
        **results.words,
    )


def _speeds(results: CganRows, mode: str) -> list[Row]:
    """Of a mode the first row with a critic, and the first with another discriminator; empty where one is missing."""
    critics = [row for row in results.published(mode) if row.config.discriminator == CRITIC]
    others = [row for row in results.published(mode) if row not in critics]
    return [critics[0], others[0]] if critics and others else []


def _speed(results: CganRows) -> Finding:
    """The time of a generator's step with a critic as a multiple of that with a plain discriminator."""
    parts = []
    for mode in results.params.cgan.modes:
        critic, plain = rows = _speeds(results, mode)
        rates = [row.values["steps_per_second"] for row in rows]
        printed = [row.printed()["seconds"] for row in rows if row.printed()]
        reported = f" (report 2: {printed[0] / printed[1]:.1f})" if len(printed) == 2 else ""
        parts.append(f"{MODES[mode].label} {rates[1] / rates[0]:.1f} times{reported}")
    return TEXTS.finding("speed", critic=critic.label, plain=plain.label, ratios=listing(parts))

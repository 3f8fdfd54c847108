"""What studies 1b and 2 found: the numbers that fill the sentences of texts.yaml."""

from functools import partial

from modescope.report.claims import CONSISTENCY, FID, RECALL, TV, Claim, Metric, grouped, ranking
from modescope.report.inside import copies
from modescope.report.page import Finding
from modescope.report.wording import listing, span
from modescope.studies.two_stage.rows import HYBRID, NAME, STAGE1, TEXTS, Row, TwoStageRows, most_consistent, nearest
from modescope.training.collapse import POINTS

LEVEL = 0.05  # of the tests of the hybrid's codes
WIDE = 0.1  # recall: a control with less has few modes left that guidance could keep
LEAST = 0.5  # of its stage 1's variety within a class: a guided row with less has lost it
MOMENTS = {"untrained": "before training", "vae": "after training the VAE alone", "joint": "after joint training"}
GUIDES_VIEW = Metric("guide_consistency", "the guide's view", lower=False, kind="share", digits=0, scale=100)
JUDGES_VIEW = Metric("class_consistency", "the judge's view", lower=False, kind="share", digits=0, scale=100)


def findings(results: TwoStageRows) -> list[Finding]:
    """Whether guidance helps, what that says of the report's claim and its reason; then the priors and the hybrid."""
    found = [_controls] if results.controlled else []
    found += [_guidance] if results.guided else []
    found += [_unguided] if results.controlled else []
    found += [_seeds] if results.repeats() else []
    found += [_fooled] if results.guided else []
    found += [_variety] if results.watched else []
    found += [_claim, _gradients] if results.guided else []
    found += [_priors] if len(results.placements()) > 1 else []
    found += [partial(copies, study=NAME)] if results.inside(NAME) else []
    return [find(results) for find in (*found, _hybrid)]


def _groups(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by architecture."""
    return grouped(rows, lambda row: row.group)


def _guidance(results: TwoStageRows) -> Finding:
    """Rows against the stage 1 that each starts from; the most consistent of every architecture."""

    def scores(row: Row) -> str:
        return f"{CONSISTENCY.text(row.run)} at FID {FID.text(row.run)}"

    rows, first = results.guided, results.representatives[STAGE1]
    pairs = [(row.run, row.start_row.run, results.floor) for row in rows]
    consistent, near = Claim(CONSISTENCY, pairs), Claim(FID, pairs)
    verdicts = zip(rows, consistent.verdicts, near.verdicts, strict=True)
    both = [row for row, *gains in verdicts if gains == [1, 1]]
    return TEXTS.finding(
        "guidance",
        total=len(rows),
        consistent=consistent,
        near=near,
        both=len(both),
        gains=f" ({'; '.join(map(_change, nearest(both)))})" if both else "",
        peaks=", ".join(f"{row.group} {scores(row)} ({row.name})" for row in most_consistent(rows)),
        alone=f"{first.name} alone {scores(first)}",
        chance=1 / len(results.floor.classes),
    )


def _change(row: Row) -> str:
    """What stage 2 did to the stage 1 that it starts from."""
    more, near, wide = (
        f"{metric.text(row.start_row.run)} to {metric.text(row.run)}" for metric in (CONSISTENCY, FID, RECALL)
    )
    return f"{row.name} from {more} at FID {near} and recall {wide}"


def _seeds(results: TwoStageRows) -> Finding:
    """What guidance does with every seed, against the stage 1 that each row starts from."""
    repeated = results.repeats()
    counts = {}
    for metric, name in ((CONSISTENCY, "consistent"), (FID, "near")):
        pairs = [[(row.run, row.start_row.run, results.floor) for row in rows] for rows in repeated]
        verdicts = [set(Claim(metric, every).verdicts) for every in pairs]
        counts |= {f"{name}_better": verdicts.count({1}), f"{name}_worse": verdicts.count({-1})}
    return TEXTS.finding("seeds", total=len(repeated), **counts)


def _unguided(results: TwoStageRows) -> Finding:
    """What stage 2 does to the stage 1 that it starts from where no guide steers it."""
    controls = [control for control, _ in results.controlled]
    pairs = [(row.run, row.start_row.run, results.floor) for row in controls]
    parts = [Claim(metric, pairs).text("rows") for metric in (FID, RECALL)]
    return TEXTS.finding("unguided", claims="; its ".join(parts))


def _controls(results: TwoStageRows) -> Finding:
    """Guided rows against stage 2 without a guide: class consistency, and recall, by which modes are counted."""
    controlled = [(row, control) for control, rows in results.controlled for row in rows]
    pairs = [(row.run, control.run, results.floor) for row, control in controlled]
    consistent, recall, shares = (Claim(metric, pairs) for metric in (CONSISTENCY, RECALL, TV))
    verdicts = zip(controlled, consistent.verdicts, recall.verdicts, strict=True)
    wide = [(both, more == 1 and kept >= 0) for both, more, kept in verdicts if RECALL.value(both[1].run) >= WIDE]
    free = [both for both, gains in wide if gains]
    rows = ", ".join(f"{row.name} ({_scores(row)}; {control.name} {_scores(control)})" for row, control in free)
    return TEXTS.finding(
        "controls",
        total=len(pairs),
        consistent=consistent,
        recall=recall,
        shares=shares,
        least=WIDE,
        wide=len(wide),
        free=f"{len(free)} {'is' if len(free) == 1 else 'are'}",
        rows=f": {rows}" if rows else "",
    )


def _scores(row: Row) -> str:
    return f"{CONSISTENCY.text(row.run)} at FID {FID.text(row.run)} and recall {RECALL.text(row.run)}"


def _trained(row: Row) -> str:
    """The last thing that stage 2 trains on an image's way, in words."""
    if row.stage2.add_stage2_ff or row.stage2.add_stage2_conv:
        return "a new output layer"
    return "the input layer alone" if row.stage2.has_adapters else "the generator"


def _fooled(results: TwoStageRows) -> Finding:
    """What the guide sees in the images that it steered, beside what the judge sees."""
    parts, fooled = [], 0
    for layer, rows in grouped(results.guided, _trained).items():
        seen, judged = (metric.spans([row.run for row in rows]) for metric in (GUIDES_VIEW, JUDGES_VIEW))
        parts.append(f"where stage 2 trains {layer}, {seen} % of them and the judge {judged} %")
    for row in results.guided:
        guide, judge = (metric.value(row.run) for metric in (GUIDES_VIEW, JUDGES_VIEW))
        fooled += guide - judge > JUDGES_VIEW.margin(row.run, row.run, results.floor)
    name = "fooled" if fooled else "not_fooled"
    return TEXTS.finding(name, layers="; ".join(parts), count=fooled, total=len(results.guided))


def _variety(results: TwoStageRows) -> Finding:
    """How different the images of one class are after stage 2, which class consistency does not count."""
    rows = results.watched
    shown = [
        f"{row.title} {row.variety:.2f} at {CONSISTENCY.text(row.run)} ({row.start} {row.start_row.variety:.2f})"
        for row in most_consistent(rows)
    ]
    return TEXTS.finding(
        "variety",
        points=POINTS,
        least=LEAST,
        lost=sum(row.variety < LEAST * row.start_row.variety for row in rows),
        total=len(rows),
        rows=", ".join(shown),
    )


def _claim(results: TwoStageRows) -> Finding:
    """The report's conclusion by the judge's FID against a vanilla DCGAN, or against stage 1 where none was trained."""
    rows = results.guided
    vanilla = next((row for row in results.stage1_rows if not row.has_classes), None)
    base = (vanilla or results.representatives[STAGE1]).run
    claim = Claim(FID, [(row.run, base, results.floor) for row in rows])
    verdicts = {0: "Here it holds.", len(rows): "Here it does not hold."}
    return TEXTS.finding(
        "claim",
        claim=claim,
        total=len(rows),
        base=f"{'the vanilla DCGAN' if vanilla else 'stage 1 alone'} ({FID.text(base)})",
        margin=max(FID.margin(*pair) for pair in claim.pairs),
        verdict=verdicts.get(claim.better, f"Here it holds for {len(rows) - claim.better} of them."),
        lowest=", ".join(f"{row.group} {FID.text(row.run)} ({row.name})" for row in nearest(rows)),
    )


def _gradients(results: TwoStageRows) -> Finding:
    """How long the class term's gradient is beside the adversarial one's, and whether they point the same way."""
    facts = {row.name: row.gradient_facts() for row in results.guided}
    ratios, cosines = (
        ", ".join(
            f"{group} {span([facts[row.name][i] for row in rows])}" for group, rows in _groups(results.guided).items()
        )
        for i in (0, 1)
    )
    longer, opposed = sum(ratio > 1 for ratio, _ in facts.values()), sum(cosine < 0 for _, cosine in facts.values())
    return TEXTS.finding("gradients", ratios=ratios, longer=longer, total=len(facts), cosines=cosines, opposed=opposed)


def _priors(results: TwoStageRows) -> Finding:
    """Every prior's first stage 1, by FID and by recall."""
    runs = {prior: rows[0].run for prior, rows in results.placements().items()}
    nearest_first, widest_first = (ranking(metric, runs, results.floor) for metric in (FID, RECALL))
    return TEXTS.finding("priors", fids=nearest_first, recalls=widest_first)


def _hybrid(results: TwoStageRows) -> Finding:
    """Whether the codes differ from noise, and the hybrid's FID against the plain GAN's."""
    run, gan = results.runs[HYBRID], results.runs.get(results.plain_gan)
    tests = {moment: (run.values[f"ks_rejected_{moment}"], run.values[f"mmd_p_{moment}"]) for moment in MOMENTS}
    differ = [MOMENTS[moment] for moment, (rejected, p) in tests.items() if rejected > 0 or p < LEVEL]
    alike = [name for name in MOMENTS.values() if name not in differ]
    groups = {"distinguishable from N(0, I)": differ, "not distinguishable from N(0, I)": alike}
    return TEXTS.finding(
        "hybrid",
        level=LEVEL,
        verdict=listing([f"{what} {listing(found)}" for what, found in groups.items() if found]),
        tests="; ".join(f"{rejected:.0%} and {p:.3f} {MOMENTS[moment]}" for moment, (rejected, p) in tests.items()),
        fids=f"hybrid {FID.text(run)}" + (f", GAN {FID.text(gan)}" if gan else ""),
    )

"""What studies 1b and 2 found, put into sentences by the numbers themselves."""

from modescope.report.claims import CONSISTENCY, FID, Claim, Metric, grouped
from modescope.report.page import Finding
from modescope.report.wording import listing, span
from modescope.studies.two_stage.rows import HYBRID, STAGE1, Row, TwoStageRows

LEVEL = 0.05  # of the tests of the hybrid's codes
MOMENTS = {"untrained": "before training", "vae": "after training the VAE alone", "joint": "after joint training"}
GUIDES_VIEW = Metric("guide_consistency", "the guide's view", lower=False, kind="share", digits=0, scale=100)
JUDGES_VIEW = Metric("class_consistency", "the judge's view", lower=False, kind="share", digits=0, scale=100)


def findings(results: TwoStageRows) -> list[Finding]:
    """Whether guidance helps, what that says of the report's claim and its reason; then the priors and the hybrid."""
    found = [_guidance, _fooled, _claim, _gradients] if results.guided else []
    found += [_priors] if len(results.placements()) > 1 else []
    return [find(results) for find in (*found, _hybrid)]


def _groups(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by architecture."""
    return grouped(rows, lambda row: row.group)


def _guidance(results: TwoStageRows) -> Finding:
    """Rows against the stage 1 that each starts from; the most consistent of every architecture; other seeds."""
    rows = results.guided
    pairs = [(row.run, row.start_run, results.floor) for row in rows]
    consistent, near = Claim(CONSISTENCY, pairs), Claim(FID, pairs)
    both = list(zip(consistent.verdicts, near.verdicts, strict=True)).count((1, 1))
    best = [max(group, key=lambda row: CONSISTENCY.value(row.run)) for group in _groups(rows).values()]
    peaks = [f"{row.group} {_scores(row)} ({row.name})" for row in best]
    first = results.representatives[STAGE1]
    text = (
        f"Of {len(rows)} guided rows, against the stage 1 that each starts from, {consistent.better} are more "
        f"class-consistent and {consistent.worse} less, {near.better} have a lower FID of the judge's features and "
        f"{near.worse} a higher one, and {both} gain in both; differences within two standard errors of the samples, "
        f"or within the floor's FID, do not count. Most consistent: {', '.join(peaks)}; {first.name} alone "
        f"{_scores(first)}; chance is {1 / len(results.floor.classes):.0%}. {_seeds(results)}"
    )
    return Finding("Guidance against stage 1 alone", text)


def _scores(row: Row) -> str:
    return f"{CONSISTENCY.text(row.run)} at FID {FID.text(row.run)}"


def _seeds(results: TwoStageRows) -> str:
    """The gains of rows that were trained with more than one seed."""
    parts = []
    for rows in results.repeats():
        gains = [(row, *(metric.gain(row.run, row.start_run) for metric in (CONSISTENCY, FID))) for row in rows]
        texts = [
            f"{100 * more:+.1f} points and FID {-lower:+.2f} ({row.name}, seed {row.settings.seed})"
            for row, more, lower in gains
        ]
        parts.append(listing(texts))
    return (
        f"With more than one seed: {'; '.join(parts)}. All other rows have one." if parts else "Every row has one seed."
    )


def _trained(row: Row) -> str:
    """The last thing that stage 2 trains on an image's way, in words."""
    if row.stage2.add_stage2_ff or row.stage2.add_stage2_conv:
        return "a new output layer"
    return "the input layer alone" if row.stage2.has_adapters else "the generator"


def _fooled(results: TwoStageRows) -> Finding:
    """What the guide sees in the images that it steered, beside what the judge sees."""
    parts, fooled = [], []
    for layer, rows in grouped(results.guided, _trained).items():
        seen, judged = (metric.spans([row.run for row in rows]) for metric in (GUIDES_VIEW, JUDGES_VIEW))
        parts.append(f"where stage 2 trains {layer}, {seen} % of them and the judge {judged} %")
    for row in results.guided:
        guide, judge = (metric.value(row.run) for metric in (GUIDES_VIEW, JUDGES_VIEW))
        fooled += [row] if guide - judge > JUDGES_VIEW.margin(row.run, row.run, results.floor) else []
    verdict = (
        f"In {len(fooled)} of {len(results.guided)} guided rows the guide sees more than the judge by more than two "
        "standard errors: for the guide such images are adversarial examples, no images of the class."
        if fooled
        else "In no guided row does the guide see more than the judge by more than two standard errors."
    )
    text = f"Of the images meant for a class, the guide sees as such, {'; '.join(parts)}. {verdict}"
    return Finding("Guide against judge", text)


def _claim(results: TwoStageRows) -> Finding:
    """The report's conclusion by the judge's FID against a vanilla DCGAN, or against stage 1 where none was trained."""
    rows = results.guided
    vanilla = next((row for row in results.stage1_rows if not row.has_classes), None)
    base = vanilla or results.representatives[STAGE1]
    claim = Claim(FID, [(row.run, base.run, results.floor) for row in rows])
    verdict = {0: "Here it holds.", len(rows): "Here it does not hold."}.get(
        claim.better, f"Here it holds for {len(rows) - claim.better} of them."
    )
    best = [min(group, key=lambda row: FID.value(row.run)) for group in _groups(rows).values()]
    lowest = [f"{row.group} {FID.text(row.run)} ({row.name})" for row in best]
    controls = [
        f" Without guidance {row.name} reaches FID {FID.text(row.run)} and class consistency "
        f"{CONSISTENCY.text(row.run)}."
        for row in results.stage2_rows
        if not row.is_guided
    ]
    margin = max(FID.margin(*pair) for pair in claim.pairs)
    text = (
        "Report 1 concludes that none of its approaches is superior to a vanilla DCGAN; but neither images nor the "
        f"class loss reached its generators. With both, {claim.better} of {len(rows)} guided rows have a lower FID "
        f"of the judge's features than {'the vanilla DCGAN' if vanilla else 'stage 1 alone'} ({FID.text(base.run)}) "
        f"and {claim.worse} a higher one, by more than {margin:.3f}. {verdict} Lowest: "
        f"{', '.join(lowest)}.{''.join(controls)}"
    )
    return Finding("Report 1's conclusion", text)


def _gradients(results: TwoStageRows) -> Finding:
    """How long the class term's gradient is beside the adversarial one's, and whether they point the same way."""
    facts = {row.name: row.gradient_facts() for row in results.guided}
    ratios, cosines = (
        [f"{group} {span([facts[row.name][place] for row in rows])}" for group, rows in _groups(results.guided).items()]
        for place in (0, 1)
    )
    longer, opposed = sum(ratio > 1 for ratio, _ in facts.values()), sum(cosine < 0 for _, cosine in facts.values())
    text = (
        "Report 1 blames unstable gradients and shows none. At the images, as means over training, the class term's "
        f"gradient is {', '.join(ratios)} times as long as the adversarial term's, and the longer one in {longer} of "
        f"{len(facts)} guided rows; the cosine between them is {', '.join(cosines)}, and below 0, where they pull "
        f"against each other, in {opposed}."
    )
    return Finding("Gradients", text)


def _priors(results: TwoStageRows) -> Finding:
    """Class consistency and FID of every prior, at stage 1 and after stage 2."""
    parts = []
    for prior, rows in results.placements().items():
        shown = [
            f"{CONSISTENCY.text(row.run) + ', ' if row.has_classes else ''}{FID.text(row.run)} ({row.name})"
            for row in rows
        ]
        parts.append(f"{prior} {', then '.join(shown)}")
    return Finding("Prior placement", f"Class consistency and FID of the judge's features: {'; '.join(parts)}.")


def _hybrid(results: TwoStageRows) -> Finding:
    """Whether the codes differ from noise, and the hybrid's FID against the plain GAN's."""
    run, gan = results.runs[HYBRID], results.runs.get(results.plain_gan)
    values = run.values
    differ = [moment for moment in MOMENTS if values[f"ks_rejected_{moment}"] > 0 or values[f"mmd_p_{moment}"] < LEVEL]
    alike = [moment for moment in MOMENTS if moment not in differ]
    groups = {"distinguishable from N(0, I)": differ, "not distinguishable from N(0, I)": alike}
    parts = [f"{what} {listing([MOMENTS[moment] for moment in found])}" for what, found in groups.items() if found]
    numbers = [f"{values[f'ks_rejected_{m}']:.0%} and {values[f'mmd_p_{m}']:.3f} {name}" for m, name in MOMENTS.items()]
    beside = f", GAN {FID.text(gan)}" if gan else ""
    text = (
        "Report 1 says that an untrained hybrid's codes cannot be distinguished from Gaussian noise, and that later "
        f"codes regress towards it. At the level of {LEVEL:.0%} they are {listing(parts)} (dimensions that the KS "
        f"test rejects, and the MMD's p-value: {'; '.join(numbers)}). FID of the judge's features: hybrid "
        f"{FID.text(run)}{beside}."
    )
    return Finding("VAE-GAN hybrid", text)

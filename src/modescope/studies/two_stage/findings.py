"""What studies 1b and 2 found, put into sentences by the numbers themselves."""

import math

from modescope.report.page import Finding
from modescope.report.results import Results
from modescope.report.wording import listing, span
from modescope.studies.two_stage.rows import (
    HYBRID,
    STAGE1,
    Row,
    consistency,
    floor,
    gradient_facts,
    placements,
    plain_gan,
    repeats,
    representatives,
    run,
    stage1_rows,
    stage2_rows,
    start,
)

FID = "fid_classifier"
LEVEL = 0.05  # of the tests of the hybrid's codes
MOMENTS = {"untrained": "before training", "vae": "after training the VAE alone", "joint": "after joint training"}


def all_findings(results: Results) -> list[Finding]:
    """Whether guidance helps, what that makes of the report's claim, the gradients that it blames; then the priors and
    the hybrid.
    """
    found = [_guidance, _fooled, _claim, _gradients] if _guided(results) else []
    found += [_priors] if len(placements(results.params)) > 1 else []
    return [find(results) for find in (*found, _hybrid)]


def _guided(results: Results) -> list[Row]:
    return [row for row in stage2_rows(results.params) if row.is_guided]


def _groups(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by architecture."""
    return {group: [row for row in rows if row.group == group] for group in dict.fromkeys(row.group for row in rows)}


def _fid(results: Results, row: Row) -> float:
    return run(results, row).values[FID]


def _gains(results: Results, row: Row) -> tuple[float, float]:
    """By how much a row is more class-consistent than the stage 1 that it starts from, and its FID lower."""
    ours, theirs = run(results, row).values, start(results, row).values
    return ours["class_consistency"] - theirs["class_consistency"], theirs[FID] - ours[FID]


def _clear_gains(results: Results, row: Row) -> tuple[int, int]:
    """The signs of the gains; 0 within two standard errors of the samples, or within the floor's FID."""
    sampled = [found.values for found in (run(results, row), start(results, row))]
    shares = [(values["class_consistency"], values["num_samples"]) for values in sampled]
    error = math.sqrt(sum(share * (1 - share) / count for share, count in shares))
    gains = zip(_gains(results, row), (2 * error, floor(results).values[FID]), strict=True)
    consistency_gain, fid_gain = ((gain > least) - (gain < -least) for gain, least in gains)
    return consistency_gain, fid_gain


def _guidance(results: Results) -> Finding:
    """Rows against the stage 1 that each starts from; the most consistent of every architecture; what another seed
    says.
    """
    rows = _guided(results)
    signs = [_clear_gains(results, row) for row in rows]
    (more, less), (lower, higher) = (
        [[pair[place] for pair in signs].count(sign) for sign in (1, -1)] for place in (0, 1)
    )
    best = [max(group, key=lambda row: consistency(results, row)) for group in _groups(rows).values()]
    peaks = [
        f"{row.group} {consistency(results, row):.1%} at FID {_fid(results, row):.2f} ({row.name})" for row in best
    ]
    first = representatives(results.params)[STAGE1]
    text = (
        f"Of {len(rows)} guided rows, against the stage 1 that each starts from, {more} are more class-consistent and {less} less, "
        f"{lower} have a lower FID of the judge's features and {higher} a higher one, and {signs.count((1, 1))} gain in both; "
        "differences within two standard errors of the samples, or within the floor's FID, do not count. "
        f"Most consistent: {', '.join(peaks)}; {first.name} alone {consistency(results, first):.1%} at FID {_fid(results, first):.2f}; "
        f"chance is {1 / len(floor(results).classes):.0%}. {_seeds(results)}"
    )
    return Finding("Guidance against stage 1 alone", text)


def _seeds(results: Results) -> str:
    """The gains of rows that were trained with more than one seed."""
    parts = []
    for rows in repeats(results.params):
        gains = [(row, *_gains(results, row)) for row in rows]
        told = [
            f"{100 * more:+.1f} points and FID {-lower:+.2f} ({row.name}, seed {row.settings.seed})"
            for row, more, lower in gains
        ]
        parts.append(listing(told))
    return (
        f"With more than one seed: {'; '.join(parts)}. All other rows have one." if parts else "Every row has one seed."
    )


def _fooled(results: Results) -> Finding:
    """What the guide makes of the images that it taught, beside the judge, by the last thing that was trained on their
    way.
    """
    by_layer: dict[str, list[Row]] = {}
    for row in _guided(results):
        has_output = row.stage2.add_stage2_ff or row.stage2.add_stage2_conv
        by_layer.setdefault(
            "a new output layer"
            if has_output
            else "the input layer alone"
            if row.stage2.has_adapters
            else "the generator",
            [],
        ).append(row)
    parts = []
    for layer, rows in by_layer.items():
        seen, judged = (
            [100 * run(results, row).values[name] for row in rows]
            for name in ("guide_consistency", "class_consistency")
        )
        parts.append(f"where stage 2 trains {layer}, {span(seen, 0)} % of them and the judge {span(judged, 0)} %")
    text = f"Of the images meant for a class, the guide sees as such, {'; '.join(parts)}. What the guide sees and the judge does not is an adversarial example, no image of the class."
    return Finding("Guide against judge", text)


def _claim(results: Results) -> Finding:
    """The report's conclusion by the judge's FID against a vanilla DCGAN, or against stage 1 where none was trained."""
    rows, margin = _guided(results), floor(results).values[FID]
    vanilla = next((row for row in stage1_rows(results.params) if not row.has_classes), None)
    base = vanilla or representatives(results.params)[STAGE1]
    title = "the vanilla DCGAN" if vanilla else "stage 1 alone"
    gains = [_fid(results, base) - _fid(results, row) for row in rows]
    lower, higher = sum(gain > margin for gain in gains), sum(gain < -margin for gain in gains)
    best = [min(group, key=lambda row: _fid(results, row)) for group in _groups(rows).values()]
    verdict = {0: "Here it holds.", len(rows): "Here it does not hold."}.get(
        lower, f"Here it holds for {len(rows) - lower} of them."
    )
    controls = [
        f" Without guidance {row.name} reaches FID {_fid(results, row):.2f} and class consistency {consistency(results, row):.1%}."
        for row in stage2_rows(results.params)
        if not row.is_guided
    ]
    text = (
        "Report 1 concludes that none of its approaches is superior to a vanilla DCGAN; but neither images nor the class loss reached "
        f"its generators. With both, {lower} of {len(rows)} guided rows have a lower FID of the judge's features than {title} "
        f"({_fid(results, base):.2f}) and {higher} a higher one, by more than the floor's {margin:.3f}. {verdict} "
        f"Lowest: {', '.join(f'{row.group} {_fid(results, row):.2f} ({row.name})' for row in best)}.{''.join(controls)}"
    )
    return Finding("Report 1's conclusion", text)


def _gradients(results: Results) -> Finding:
    """How long the class term's gradient is beside the adversarial one's, and whether they pull the same way."""
    facts = {row.name: gradient_facts(results, row) for row in _guided(results)}
    ratios, cosines = (
        [
            f"{group} {span([facts[row.name][place] for row in rows])}"
            for group, rows in _groups(_guided(results)).items()
        ]
        for place in (0, 1)
    )
    longer, opposed = sum(ratio > 1 for ratio, _ in facts.values()), sum(cosine < 0 for _, cosine in facts.values())
    text = (
        "Report 1 blames unstable gradients and shows none. At the images, as means over training, the class term's gradient is "
        f"{', '.join(ratios)} times as long as the adversarial term's, and the longer one in {longer} of {len(facts)} guided rows; "
        f"the cosine between them is {', '.join(cosines)}, and below 0, where they pull against each other, in {opposed}."
    )
    return Finding("Gradients", text)


def _priors(results: Results) -> Finding:
    """Class consistency and FID of every prior, at stage 1 and after stage 2."""
    parts = []
    for prior, rows in placements(results.params).items():
        shown = [
            f"{f'{consistency(results, row):.1%}, ' if row.has_classes else ''}{_fid(results, row):.2f} ({row.name})"
            for row in rows
        ]
        parts.append(f"{prior} {', then '.join(shown)}")
    return Finding("Prior placement", f"Class consistency and FID of the judge's features: {'; '.join(parts)}.")


def _hybrid(results: Results) -> Finding:
    """Whether the codes can be told from noise, and the hybrid's FID beside the plain GAN's."""
    values, gan = results.runs[HYBRID].values, results.runs.get(plain_gan(results.params))
    told = [moment for moment in MOMENTS if values[f"ks_rejected_{moment}"] > 0 or values[f"mmd_p_{moment}"] < LEVEL]
    same = [MOMENTS[moment] for moment in MOMENTS if moment not in told]
    parts = [
        *([f"told from N(0, I) {listing([MOMENTS[moment] for moment in told])}"] if told else []),
        *([f"not told from N(0, I) {listing(same)}"] if same else []),
    ]
    numbers = [
        f"{values[f'ks_rejected_{moment}']:.0%} and {values[f'mmd_p_{moment}']:.3f} {name}"
        for moment, name in MOMENTS.items()
    ]
    text = (
        "Report 1 says that an untrained hybrid's codes cannot be told from Gaussian noise, and that later codes regress towards it. "
        f"At the level of {LEVEL:.0%} they are {listing(parts)} (dimensions that the KS test rejects, and the MMD's p-value: {'; '.join(numbers)}). "
        f"FID of the judge's features: hybrid {values[FID]:.2f}{f', GAN {gan.values[FID]:.2f}' if gan else ''}."
    )
    return Finding("VAE-GAN hybrid", text)

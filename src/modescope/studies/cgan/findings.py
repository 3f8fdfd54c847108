"""What study 3 found, put into sentences by the numbers themselves."""

from collections.abc import Mapping, Sequence

from modescope.report.page import Finding
from modescope.report.results import Results
from modescope.report.wording import listing, span
from modescope.studies.cgan.rows import (
    LABELLED,
    MODES,
    STACKED_REAL,
    Row,
    best,
    extractors,
    floor,
    labelled_rows,
    published,
    reported,
    run,
    shown,
    stacked_run,
)

FID = "fid_classifier"
SLOW, FAST = "wgan-gp", "bce"


def all_findings(results: Results) -> list[Finding]:
    """Losses, consistency, labels, diversity, fixed z, stacked digits, speed: those that the profile has the rows for."""
    modes = results.params.cgan.modes
    found = [_losses]
    found += [_consistency] if shown(results) else []
    found += [_labels] if set(MODES) <= set(modes) else []
    found += [_diversity, _fixed_z] if shown(results) else []
    found += [_stacked]
    found += [_speed] if {SLOW, FAST} <= set(results.params.cgan.losses) else []
    return [find(results) for find in found]


def _losses(results: Results) -> Finding:
    """The losses by FID, lowest first, in every mode and by every extractor."""
    parts = []
    for of in extractors(results.params):
        for mode in results.params.cgan.modes:
            fids = {row.config.loss: run(results, row).values[of.fid] for row in published(results.params, mode)}
            parts.append(
                f"{MODES[mode].label}, of {of.name}: {_ranking(fids, of.digits)} (real images {floor(results).values[of.fid]:.3f})"
            )
    told = {
        row.config.loss: reported(results, row)["fid"]
        for row in published(results.params, LABELLED)
        if reported(results, row)
    }
    claim = f"Report 2 has, with labels, of Inception's features: {_ranking(told, 2)}. " if told else ""
    return Finding("Losses by FID, the lowest first", f"{claim}Here, {'; '.join(parts)}.")


def _ranking(values: dict[str, float], digits: int) -> str:
    return ", ".join(f"{name} {values[name]:.{digits}f}" for name in sorted(values, key=values.__getitem__))


def _consistency(results: Results) -> Finding:
    """Of the report's rows and of our best one."""
    values = {row.name: _percent(results, row) for row in published(results.params, LABELLED)}
    ours = best(results)
    told = [
        100 * reported(results, row)["class_consistency"]
        for row in published(results.params, LABELLED)
        if reported(results, row)
    ]
    parts = [f"{name} {value:.2f} %" for name, value in values.items()]
    if ours:
        lead = (
            f" ({_percent(results, ours) - max(values.values()):+.2f} points against the best of the report's rows)"
            if values
            else ""
        )
        parts.append(f"our {ours.name} {_percent(results, ours):.2f} %{lead}")
    real = 100 * floor(results).values["class_consistency"]
    text = (
        f"Of the images made for a digit, the judge sees in it: {', '.join(parts)}; of real images {real:.2f} %."
        f"{f' Report 2 has {span(told)} % by its own classifier.' if told else ''}"
    )
    return Finding("Class consistency", text)


def _percent(results: Results, row: Row) -> float:
    return 100 * run(results, row).values["class_consistency"]


def _labels(results: Results) -> Finding:
    """Every loss with labels against the same without, by the judge's FID."""
    pairs = zip(*(published(results.params, mode) for mode in MODES), strict=True)
    fids = {row.config.loss: (run(results, row).values[FID], run(results, other).values[FID]) for row, other in pairs}
    worse = [
        f"{loss} ({ours:.3f} against {without:.3f}, {ours - without:.3f} higher)"
        for loss, (ours, without) in fids.items()
        if ours >= without
    ]
    better = [f"{loss} {ours:.3f} against {without:.3f}" for loss, (ours, without) in fids.items() if ours < without]
    text = (
        f"{_told_of_labels(results)}The judge's FID is lower with labels for {len(better)} of {len(fids)} losses"
        f"{f': {listing(better)}' if better else ''}."
        f"{f' It is not for {listing(worse)}.' if worse else ''}"
    )
    return Finding("With labels against without", text)


def _told_of_labels(results: Results) -> str:
    """For which losses report 2 has a lower FID with labels."""
    pairs = zip(*(published(results.params, mode) for mode in MODES), strict=True)
    fids = {row.config.loss: [reported(results, of).get("fid") for of in (row, other)] for row, other in pairs}
    lower = [loss for loss, both in fids.items() if all(both) and both[0] < both[1]]
    higher = [loss for loss, both in fids.items() if all(both) and both[0] >= both[1]]
    if not lower + higher:
        return ""
    return f"Report 2 has a lower FID with labels for {listing(lower) or 'no loss'}{f', and a higher one for {listing(higher)}' if higher else ''}. "


def _diversity(results: Results) -> Finding:
    """Whether pixel_std, the report's measure, tells rows apart as recall within a digit does."""
    rows, metrics = shown(results), ("pixel_std", "recall_per_class", "ms_ssim")
    pixels, recalls, similarities = (
        {row.label: _mean(run(results, row).values[metric]) for row in rows} for metric in metrics
    )
    real_pixels, real_recall, real_similarity = (_mean(floor(results).values[metric]) for metric in metrics)
    pixel_span, recall_span = _width(pixels) / real_pixels, _width(recalls) / real_recall
    text = (
        "Report 2 takes the standard deviation of a digit's pixels for its diversity, and finds the losses alike. As means over the digits it is "
        f"{span(pixels.values(), 3)} (real images {real_pixels:.3f}), highest for {max(pixels, key=pixels.get)}; recall within a digit is "
        f"{span(recalls.values(), 3)} ({real_recall:.3f}), highest for {max(recalls, key=recalls.get)}, and MS-SSIM "
        f"{span(similarities.values(), 3)} ({real_similarity:.3f}). Between the rows pixel_std differs by {pixel_span:.1%} of the real images' and "
        f"recall by {recall_span:.1%}: recall tells them apart{', pixel_std less' if recall_span > pixel_span else ' no more than pixel_std does'}."
    )
    return Finding("Diversity", text)


def _width(values: Mapping[str, float]) -> float:
    return max(values.values()) - min(values.values())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _fixed_z(results: Results) -> Finding:
    """From how many fixed z every label makes a class of its own."""
    classes = len(floor(results).classes)
    counts = {row.label: run(results, row).values["fixed_z_classes"] for row in labelled_rows(results.params)}
    parts = [f"{label} {list(values).count(classes)} of {len(values)}" for label, values in counts.items()]
    text = (
        "Report 2 says from its pictures that with any loss a fixed z gives the digit of every label. "
        f"As the judge sees them, z that give {classes} different digits: {', '.join(parts)}."
    )
    return Finding("Fixed z, every label", text)


def _stacked(results: Results) -> Finding:
    """Modes that each loss covers, and which covers most."""
    values = {loss: results.runs[stacked_run(loss)].values for loss in results.params.stacked.losses}
    most, real = max(values, key=lambda loss: values[loss]["modes_covered"]), results.runs[STACKED_REAL].values
    enough = results.params.stacked.enough
    parts = [f"{loss} {value['modes_covered']:,} ({value['modes_enough']:,})" for loss, value in values.items()]
    text = (
        f"Of 1,000 modes, {most} covers most. Modes with a sample (with {enough}) among {real['num_samples']:,}: "
        f"{', '.join(parts)}; real digits {real['modes_covered']:,} ({real['modes_enough']:,})."
    )
    return Finding("Stacked digits", text)


def _speed(results: Results) -> Finding:
    """A critic's training time as a multiple of the plain discriminator's."""
    parts = []
    for mode in results.params.cgan.modes:
        rows = {row.config.loss: row for row in published(results.params, mode)}
        seconds = [run(results, rows[loss]).values["seconds"] for loss in (SLOW, FAST)]
        told = [reported(results, rows[loss]).get("seconds") for loss in (SLOW, FAST)]
        parts.append(
            f"{MODES[mode].label} {seconds[0] / seconds[1]:.1f} times{f' (report 2: {told[0] / told[1]:.1f})' if all(told) else ''}"
        )
    return Finding("Speed", f"For as many steps of the generator {SLOW} takes {FAST}'s time {listing(parts)}.")

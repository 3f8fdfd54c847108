"""Study 3 in the report: adversarial losses with labels and without, on handwritten digits."""

from modescope.report.page import Section
from modescope.report.results import Results
from modescope.report.wording import span
from modescope.studies.cgan import figures, findings, sheets, tables
from modescope.studies.cgan.rows import MODES, STUDY, UNLABELLED, all_rows, expected_runs, shown

__all__ = ["STUDY", "expected_runs", "section"]

ERRATA = (
    "Report 2 is “Implementing a Conditional Generative Adversarial Network”. Its FID and KID are of the features of Inception, a network trained "
    "on ImageNet; those of the pipeline's own judge of digits never stand in one column with them. Its diversity, the standard deviation of all "
    "pixels, is had by a single sharp image, too; here it is pixel_std, and MS-SSIM, recall and coverage within a digit measure diversity. It trains "
    "{theirs:,} generator steps; the rows here, with widths as their tables say, {ours}. What else differs, and why, is in docs/method.md."
)


def section(results: Results) -> Section:
    """Everything that the profile has the rows for, in order."""
    content = [tables.summary(results), tables.scores(results)]
    modes, with_labels = results.params.cgan.modes, bool(shown(results))
    if with_labels:
        content += [figures.benchmark(results)]
    if set(MODES) <= set(modes):
        content += [figures.labels_gain(results)]
    if with_labels:
        content += [
            sheets.samples(results),
            tables.class_consistency(results),
            sheets.fixed_z(results),
            sheets.one_z(results),
        ]
        content += [tables.pixel_std(results), tables.diversity(results), sheets.per_class(results)]
    if UNLABELLED in modes:
        content += [sheets.unlabelled_samples(results)]
    if results.params.cgan.ours:
        content += [tables.ours(results)]
    content += tables.over_seeds(results)
    content += [
        tables.stacked(results),
        sheets.stacked_samples(results),
        figures.curves(results),
        tables.timings(results),
    ]
    return Section(
        STUDY, "Study 3: conditional GANs and their losses", findings.all_findings(results), content, errata(results)
    )


def errata(results: Results) -> str:
    """Where report 2 is left, and by how much its budget."""
    steps = [row.config.generator_steps for row in all_rows(results.params)]
    return ERRATA.format(theirs=results.reported[STUDY]["steps"], ours=span(steps, 0))

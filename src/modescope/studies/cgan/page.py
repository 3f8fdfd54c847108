"""Study 3's page: what stands on it, in order."""

from modescope.report import inside
from modescope.report.figures import Picture
from modescope.report.scores import GREY_JUDGE
from modescope.report.tables import Table
from modescope.report.wording import span
from modescope.studies.cgan import figures, findings, sheets, tables
from modescope.studies.cgan.rows import MODES, NAME, TEXTS, UNLABELLED, CganRows
from modescope.studies.study import Study


def content(results: CganRows) -> list[Table | Picture]:
    """Everything that the profile has the rows for."""
    modes, labelled = results.params.cgan.modes, bool(results.shown)
    items = [tables.summary(results), tables.scores(results)]
    if labelled:
        items += [figures.benchmark(results)]
    if set(MODES) <= set(modes):
        items += [figures.labels_gain(results)]
    if labelled:
        items += [sheets.samples(results), tables.class_consistency(results), sheets.fixed_z(results)]
        items += [tables.pixel_std(results), tables.diversity(results), sheets.per_class(results)]
    if UNLABELLED in modes:
        items += [sheets.unlabelled_samples(results)]
    if results.params.cgan.ours:
        items += [tables.ours(results)]
    items += [*tables.over_seeds(results), tables.stacked(results), sheets.stacked_samples(results)]
    items += inside.content(results, NAME, GREY_JUDGE, sheets.SLOT)
    return [*items, figures.curves(results), tables.timings(results)]


def note(results: CganRows) -> str:
    """Where report 2 is left, and by how much its budget."""
    steps = [row.config.generator_steps for row in results.rows]
    return TEXTS("note", theirs=results.reported[NAME]["steps"], ours=span(steps, 0)).caption


STUDY = Study(
    NAME, "Study 3: conditional GANs and their losses", CganRows, findings.findings, content, tables.glance, note
)

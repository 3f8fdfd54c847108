"""Study 1's page: what stands on it, in order."""

from modescope.report import inside
from modescope.report.figures import Picture
from modescope.report.scores import JUDGE
from modescope.report.tables import Table
from modescope.studies.imbalance import figures, findings, tables
from modescope.studies.imbalance.rows import NAME, TEXTS, ImbalanceRows
from modescope.studies.study import Study

# Table and figure -> the models in it: the report's tables 2 and 3, figures 1 and 2.
MODEL_GROUPS = {"gan": ("gan", "gan-ours"), "vae": ("vae", "vae-gmm")}


def content(results: ImbalanceRows) -> list[Table | Picture]:
    """Shares of classes, scores of the models that are evaluated, then samples and training."""
    items = [tables.summary(results), tables.splits(results)]
    items += [figures.class_shares(results), tables.class_shares(results)]
    for name, shown in MODEL_GROUPS.items():
        if set(shown) & set(results.models):
            items += [tables.scores(results, name, shown), figures.scores_against_ratio(results, name, shown)]
    if results.long_tailed:
        items += [tables.tail(results), figures.recall_of_classes(results)]
    items += [*tables.over_seeds(results), figures.samples(results)]
    if "vae" in results.models:
        items.append(figures.reconstructions(results))
    items += inside.content(results, NAME, JUDGE, "rgb")
    return [*items, figures.curves(results), tables.timings(results)]


TITLE, NOTE = "Study 1: GAN against VAE under class imbalance", TEXTS("note").caption
STUDY = Study(NAME, TITLE, ImbalanceRows, findings.findings, content, tables.glance, lambda results: NOTE)

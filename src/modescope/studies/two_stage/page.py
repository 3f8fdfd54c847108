"""The page of studies 1b and 2: what stands on it, in order."""

from modescope.models.adapters import adapt
from modescope.models.dcgan import DCGANDiscriminator, DCGANGenerator
from modescope.report import inside
from modescope.report.diagrams import architecture_pictures
from modescope.report.figures import Picture
from modescope.report.scores import GUIDE, JUDGE
from modescope.report.tables import Table
from modescope.studies.study import Study
from modescope.studies.two_stage import figures, findings, tables
from modescope.studies.two_stage.rows import NAME, STAGE1, TEXTS, TwoStageRows


def content(results: TwoStageRows) -> list[Table | Picture]:
    """Scores and architectures, then consistency, gradients, priors, the hybrid and training."""
    return [
        tables.summary(results),
        figures.consistency_against_fid(results),
        tables.scores(results),
        *architectures(results),
        figures.samples(results),
        *figures.best_rows(results),
        *figures.adapter_starts(results),
        figures.confusion(results),
        tables.class_consistency(results),
        figures.gradients(results),
        tables.priors(results),
        *tables.tail(results),
        *tables.over_seeds(results),
        tables.hybrid(results),
        *inside.content(results, NAME, JUDGE, "rgb"),
        figures.curves(results),
        tables.timings(results),
    ]


def architectures(results: TwoStageRows) -> list[Picture]:
    """Figures 3 to 10: what each architecture's row builds, drawn from the modules that it builds.

    None where one builds residual networks, which are no chain of boxes.
    """
    from modescope.models.classifiers import build_classifier  # imports torchvision, which no other page needs

    rows = [row.settings for group, row in results.representatives.items() if group != STAGE1]
    if any(row.network != "dcgan" for row in rows):
        return []
    generators = {row.architecture: adapt(DCGANGenerator(row.latent_dim, row.ngf), row, 3, 32) for row in rows}
    guide = results.params.classifiers[GUIDE]
    network = build_classifier(guide.network, guide.widths, len(results.runs[GUIDE].classes), 3, guide.role)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    discriminator, latent_dim = DCGANDiscriminator(rows[0].ndf), rows[0].latent_dim
    return architecture_pictures(generators, discriminator, latent_dim, guide.network, parameters)


TITLE, NOTE = "Studies 1b and 2: VAE-GAN hybrid, mixture prior and guidance", TEXTS("note").caption
STUDY = Study(NAME, TITLE, TwoStageRows, findings.findings, content, tables.glance, lambda results: NOTE)

"""Studies 1b and 2 in the report: the VAE-GAN hybrid, and the two-stage GAN with a mixture prior and a guide."""

from modescope.models.adapters import adapt
from modescope.models.dcgan import DCGANDiscriminator, DCGANGenerator
from modescope.report.diagrams import architecture_pictures
from modescope.report.page import Picture, Section
from modescope.report.results import Results
from modescope.report.scores import GUIDE
from modescope.studies.two_stage import figures, findings, tables
from modescope.studies.two_stage.rows import STAGE1, STUDY, expected_runs, representatives

__all__ = ["STUDY", "expected_runs", "section"]

ERRATA = (
    "Report 1 trained its two-stage GAN on noise in place of images, and computed the guide's logits without gradients, so neither "
    "the data nor the class loss ever reached the generator. Here both do. Guide and judge are two networks, trained apart. "
    "What else differs, and why, is in docs/method.md."
)


def section(results: Results) -> Section:
    """Everything the study puts on the page, in order."""
    content = [
        tables.summary(results),
        tables.scores(results),
        figures.samples(results),
        *figures.adapter_starts(results),
        figures.consistency_against_fid(results),
        figures.confusion(results),
        tables.class_consistency(results),
        figures.gradients(results),
        tables.priors(results),
        *tables.tail(results),
        *tables.over_seeds(results),
        tables.hybrid(results),
        figures.curves(results),
        tables.timings(results),
    ]
    content[2:2] = architectures(results)
    return Section(
        STUDY,
        "Studies 1b and 2: VAE-GAN hybrid, mixture prior and guidance",
        findings.all_findings(results),
        content,
        ERRATA,
    )


def architectures(results: Results) -> list[Picture]:
    """Figures 3 to 10: what each architecture's row builds, drawn from the modules that it builds."""
    from modescope.models.classifiers import build_classifier  # brings torchvision, which no other page needs

    rows = [row.settings for group, row in representatives(results.params).items() if group != STAGE1]
    channels, pixels = 3, 32
    generators = {
        config.architecture: adapt(DCGANGenerator(config.latent_dim, config.ngf), config, channels, pixels)
        for config in rows
    }
    guide = results.params.classifiers[GUIDE]
    network = build_classifier(guide.network, guide.widths, len(results.runs[GUIDE].classes), channels, guide.role)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return architecture_pictures(
        generators, DCGANDiscriminator(rows[0].ndf), rows[0].latent_dim, guide.network, parameters
    )

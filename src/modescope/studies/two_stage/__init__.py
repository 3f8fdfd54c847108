"""Studies 1b and 2: the VAE-GAN hybrid, and the two-stage GAN with a mixture prior and a guide."""

from modescope.studies.two_stage.page import STUDY

__all__ = ["STUDY"]

"""Study 1: GAN against VAE under class imbalance."""

from modescope.studies.imbalance.page import STUDY

__all__ = ["STUDY"]

"""Study 3: adversarial losses with labels and without, on handwritten digits."""

from modescope.studies.cgan.page import STUDY

__all__ = ["STUDY"]

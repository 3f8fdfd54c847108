"""Every study of the project, by name, in the order in which they are shown."""

from modescope.studies import cgan, classifiers, imbalance, two_stage

STUDIES = {study.name: study for study in (imbalance.STUDY, two_stage.STUDY, cgan.STUDY, classifiers.STUDY)}

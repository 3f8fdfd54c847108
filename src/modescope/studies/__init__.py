"""Every study of the project, by name, in the order in which they are shown."""

from modescope.errors import UserError
from modescope.studies import cgan, classifiers, imbalance, two_stage
from modescope.studies.study import Study

STUDIES = {study.name: study for study in (imbalance.STUDY, two_stage.STUDY, cgan.STUDY, classifiers.STUDY)}


def find_study(name: str) -> Study:
    """The study of that name. Raises UserError for an unknown one."""
    if name not in STUDIES:
        raise UserError(f"unknown study `{name}`: there are {', '.join(STUDIES)}")
    return STUDIES[name]

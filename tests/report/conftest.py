"""The made-up project that tables, figures and page are built from."""

import pytest
from made_up import build_project

from modescope.report.contents import collect


@pytest.fixture
def project(tmp_path):
    return build_project(tmp_path)


@pytest.fixture
def results(project):
    return collect(project.params, project.folders, project.read_final)

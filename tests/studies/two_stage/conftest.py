"""Study 2 of the made-up project."""

import pytest


@pytest.fixture
def results(project):
    return project.read("two-stage")

"""Study 1 of the made-up project."""

import pytest


@pytest.fixture
def results(project):
    return project.read("imbalance")

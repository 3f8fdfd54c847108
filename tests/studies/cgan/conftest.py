"""The made-up project with little of study 1, and its results."""

import pytest

from made_up import build_project


@pytest.fixture
def project(tmp_path):
    return build_project(tmp_path, splits=("split1",))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Of a project that no test changes."""
    return build_project(tmp_path_factory.mktemp("project"), splits=("split1",)).read("cgan")

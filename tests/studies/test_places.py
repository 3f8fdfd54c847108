"""A run's place on its study's page: the row to which the run's page in MLflow leads."""

import pytest

from made_up import build_project
from modescope.report.page import to_html
from modescope.studies import STUDIES

FLOOR = "real images (floor)"


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    project = build_project(tmp_path_factory.mktemp("project"), more_seeds=(43, 44))
    return {name: study.page(project.read(name)) for name, study in STUDIES.items()}


@pytest.mark.parametrize(
    ("study", "run", "table", "row"),
    [
        ("imbalance", "vae-gmm-split1", "vae", "split1"),
        ("imbalance", "real-split1", "gan", FLOOR),
        ("two-stage", "stage1-seed43", "two_stage", "stage1-seed43"),
        ("two-stage", "stage2-d-ff-0.5", "two_stage", "d-ff-0.5"),
        ("two-stage", "hybrid", "hybrid", "images, hybrid"),
        ("imbalance", "vae-split1-s43", "seeds", "vae-split1"),
        ("cgan", "cgan-wgan-gp", "cgan", "cgan-wgan-gp"),
        ("cgan", "stacked-wgan-gp", "stacked", "wgan-gp"),
        ("cgan", "stacked-real", "stacked", FLOOR),
        ("classifiers", "rgb-judge", "classifiers", "rgb-judge"),
    ],
)
def test_every_run_has_its_row(sections, study, run, table, row):
    (section,) = sections[study].sections
    name, index = section.places[run]
    found = next(item for item in section.content if item.name == name and hasattr(item, "rows"))
    assert name == table and row in found.rows[index].values()


@pytest.mark.parametrize("study", STUDIES)
def test_the_page_has_an_anchor_for_every_run_of_the_study(sections, study):
    (section,), html = sections[study].sections, to_html(sections[study])
    assert section.places and all(html.count(f'<a id="{run}"></a>') == 1 for run in section.places)

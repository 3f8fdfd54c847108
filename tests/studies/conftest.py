"""The made-up project that tables, figures and page are built from."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from made_up import build_project


@pytest.fixture
def project(tmp_path):
    return build_project(tmp_path)


@pytest.fixture
def results(project):
    return project.results


@pytest.fixture
def drawn(monkeypatch):
    """The figure that a picture of a study's module draws, laid out as in print."""

    def draw_only(module, name, *arguments) -> Figure:
        figures = []

        def keep(draw, width, height):
            figures.append(Figure(figsize=(width, height), layout="constrained"))
            FigureCanvasAgg(figures[0])
            draw(figures[0])
            figures[0].canvas.draw()
            return b""

        monkeypatch.setattr(module, "render", keep)
        getattr(module, name)(*arguments)
        return figures[0]

    return draw_only

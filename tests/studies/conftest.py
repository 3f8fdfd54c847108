"""The made-up project that tables, figures and page are built from."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from made_up import build_project
from modescope.report import figures, vector


@pytest.fixture
def project(tmp_path):
    return build_project(tmp_path)


@pytest.fixture
def drawn(monkeypatch):
    """The figure that a picture of a study's module draws, laid out as in print."""

    def draw_only(module, name, *arguments) -> Figure:
        drawings = []

        def keep(draw, width, height):
            drawings.append(Figure(figsize=(width, height), layout="constrained"))
            FigureCanvasAgg(drawings[0])
            draw(drawings[0])
            drawings[0].canvas.draw()
            return b""

        monkeypatch.setattr(figures, "render", keep)
        monkeypatch.setattr(vector, "to_svg", lambda *drawing: "")
        getattr(module, name)(*arguments)
        return drawings[0]

    return draw_only

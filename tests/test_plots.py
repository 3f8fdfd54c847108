"""`dvc plots`: curves without spikes at the steps at which they have no value."""

from pathlib import Path

import pytest
import yaml
from dvc_render.vega import VegaRenderer

PLOTS = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["plots"]
CURVES = {name: plot for each in PLOTS if isinstance(each, dict) for name, plot in each.items()}


@pytest.mark.parametrize("name", CURVES)
def test_an_empty_cell_is_no_point_of_a_curve(name):
    points = [{"step": step, "loss": value, "rev": "workspace"} for step, value in ((1, "2.5"), (2, ""))]
    plot = VegaRenderer(points, name, template=CURVES[name]["template"], template_dir=".dvc/plots", x="step", y="loss")
    filled = plot.get_filled_template()
    assert filled["encoding"]["y"]["field"] == "loss" and len(filled["data"]["values"]) == 2
    assert filled["transform"] == [{"filter": "isValid(datum['loss']) && datum['loss'] !== ''"}]

"""The pages in Chromium: nothing overflows at any width, tables scroll and sort, axe-core finds nothing serious."""

import io
from pathlib import Path

import pytest
from PIL import Image

from chromium import in_chromium
from made_up import build_project
from modescope.report import figures, vector
from modescope.report.page import write_overview, write_study
from modescope.studies import STUDIES
from small_charts import SVG

SCRIPT = Path(__file__).with_name("browser.mjs")
BROKEN = """<!doctype html><html lang="en"><title>Broken</title><body><main><h1>Broken</h1>
<p style="width: 3000px; color: #ccc">too wide and too pale</p>
<div style="width: 50px; overflow: hidden; white-space: nowrap">this text is cut off</div>
<div class="frame"><div class="scroll" style="overflow: auto; width: 200px"><table><thead><tr><th class="name">row</th>
<th><button>FID ↓</button></th></tr></thead><tbody><tr><td class="name">a</td><td>2</td></tr><tr><td class="name">b</td>
<td style="min-width: 900px">1</td></tr></tbody></table></div></div></main>"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Page's name -> what is wrong with it; figures are empty, as their layout is not the page's."""
    folder, picture = tmp_path_factory.mktemp("reports"), io.BytesIO()
    Image.new("RGB", (1440, 300)).save(picture, "PNG")
    project = build_project(
        tmp_path_factory.mktemp("project"), splits=("balanced", "split1", "lt100"), more_seeds=(43, 44)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "render", lambda draw, width, height: picture.getvalue())
        patch.setattr(vector, "to_svg", lambda *drawing: SVG)
        for name, study in STUDIES.items():
            results = project.read(name)
            write_study(study.page(results), study.glance(results), folder / name)
    write_overview("Lead.", [folder / name for name in STUDIES], folder / "index.html")
    (folder / "broken").mkdir()
    (folder / "broken" / "index.html").write_text(BROKEN, encoding="utf-8")
    wrong = in_chromium(SCRIPT, *sorted(folder.rglob("index.html")))
    return {Path(page).parent.name: found for page, found in wrong.items()} | {"folder": folder.name}


@pytest.mark.parametrize("page", ["overview", *STUDIES])
def test_nothing_is_wrong_with_a_page(found, page):
    assert found[found["folder"] if page == "overview" else page] == []


@pytest.mark.parametrize(
    "fault",
    [
        "360 px: P  ends at",
        "1920 px: DIV  holds",
        "shadow is wrong",
        "names are scrolled away",
        "the best first",
        "color-contrast",
    ],
)
def test_what_is_wrong_is_seen(found, fault):
    assert any(fault in wrong for wrong in found["broken"]), found["broken"]

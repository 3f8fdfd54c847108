"""Charts as SVG: the same every time, their parts named, several on one page."""

import re

from modescope.report.figures import STYLE
from modescope.report.vector import inline, to_pdf, to_svg
from small_charts import RED, SVG, chart


def test_the_same_drawing_gives_the_same_text_without_date_and_address():
    assert to_svg(chart, 4, 3, STYLE) == SVG
    assert SVG.startswith("<svg") and "date" not in SVG.lower()
    assert set(re.findall(r"https?://[^\"]*", SVG)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_a_pdf_is_the_same_every_time_and_has_its_fonts_inside():
    found = to_pdf(chart, 4, 3, STYLE)
    assert found == to_pdf(chart, 4, 3, STYLE) and found.startswith(b"%PDF")
    assert b"/FontFile2" in found and b"CreationDate" not in found


def test_series_say_their_names_and_the_legend_what_it_is_of():
    look = "&quot;red&quot; &amp; &lt;co&gt;"
    assert f'<g class="series" data-look="{look}"><title>run of {look}: 1</title>' in SVG
    assert '<g class="series" data-look="blue"><title>run of blue: 2</title>' in SVG
    assert SVG.count('<g class="legend" data-look="blue">') == 2  # its line and its text
    assert SVG.count('class="series"') == 2


def test_elements_of_one_page_share_no_id_and_find_their_own():
    both = [inline(SVG, name, 'a "chart"') for name in ("first", "second")]
    ids = [set(re.findall(r' id="([^"]*)"', each)) for each in both]
    assert ids[0] and not ids[0] & ids[1]
    for each, own in zip(both, ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]*)', each)) == own
        assert 'aria-label="a &quot;chart&quot;"' in each
        assert RED.colour in each

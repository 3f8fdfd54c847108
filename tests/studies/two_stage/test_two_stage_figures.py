"""Study 2's figures: they show the numbers and images of the right rows, and every name can be read."""

import io
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from made_up import CLASSES, build_project
from modescope.pictures import mosaic, tiles
from modescope.report import figures as report_figures
from modescope.report.figures import label_points
from modescope.studies.two_stage import figures

PICTURES = ["samples", "consistency_against_fid", "confusion", "gradients", "curves"]


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def names_are_readable(axes, points) -> bool:
    """Whether every name lies within the axes and hides neither another one nor a point."""
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # an annotation's own extent includes its line
    inside = all(axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max) for box in boxes)
    hidden = any(box.contains(*point) for box in boxes for point in axes.transData.transform(points))
    return inside and not hidden and not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def previews(run, step):
    return tiles(np.asarray(Image.open(run.folder / "samples" / f"step-{step:06d}.png")), size=8)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_readable_and_repeatable(results, name):
    draw = getattr(figures, name)
    first = draw(results)
    assert first.png == draw(results).png
    assert min(opened(first.png).shape[:2]) > 50
    assert first.alt and first.caption.endswith(".")


def test_figure_11_sorts_images_by_intended_class(results, monkeypatch):
    sheets = []
    monkeypatch.setattr(report_figures, "image_sheet", lambda *sheet: sheets.append(sheet) or b"")
    figures.samples(results)
    cells, rows, columns = sheets[0]
    assert rows == ["stage1", "A: a-0.5-n20", "B: b-ff-0.5", "C: c-conv-0.5", "D: d-ff-0.5"] and columns == list(
        CLASSES
    )
    images = previews(results.runs["stage2-d-ff-0.5"], 200)
    assert np.array_equal(cells[4][3], mosaic(images[3::10], 2)) and len(images[3::10]) == 8


def test_the_best_rows_stand_under_their_stages_1(results, monkeypatch):
    monkeypatch.setattr(report_figures, "image_sheet", lambda cells, rows, columns: rows)
    (picture,) = figures.best_rows(results)
    of_each = architectures(results).values()
    best = [max(rows, key=lambda row: row.values["class_consistency"]) for rows in of_each]
    best += [min(rows, key=lambda row: row.values["fid_classifier"]) for rows in of_each]
    new = [row for row in results.guided if row in best and row not in results.representatives.values()]
    assert new and picture.png[-len(new) :] == [row.title for row in new]
    assert set(picture.png[: -len(new)]) == {row.start for row in new}


def architectures(results):
    return {group: [row for row in results.guided if row.group == group] for group in "ABCD"}


def test_starts_show_step_0_of_adapted_rows(results, monkeypatch):
    sheets = []
    monkeypatch.setattr(report_figures, "image_sheet", lambda *sheet: sheets.append(sheet) or b"")
    (picture,) = figures.adapter_starts(results)
    cells, rows, _ = sheets[0]
    assert picture.name == "adapter_starts"
    assert rows == ["stage1", "B: b-ff-0.5", "C: c-conv-0.5", "D: d-ff-0.5", "D: d-ff-0.5-random"]
    assert np.array_equal(cells[4][0], mosaic(previews(results.runs["stage2-d-ff-0.5-random"], 0)[::10], 2))


def test_no_starts_without_adapters(project):
    rows = {name: row for name, row in project.params.two_stage.rows.items() if name.startswith("a-")}
    project.change_params({"two_stage": {"rows": rows}})
    assert figures.adapter_starts(project.read("two-stage")) == []


def test_scatter_has_every_row_with_classes_and_readable_names(results, drawn):
    (axes,) = drawn(figures, "consistency_against_fid", results).axes
    shown = {text.get_text() for text in axes.texts}
    assert shown == {row.name for row in results.at_a_glance if row.has_classes}
    points = [line.get_xydata()[0].tolist() for line in axes.lines if len(line.get_xydata()) == 1]
    values = results.runs["stage2-a-1.0-n50"].values
    assert [values["fid_classifier"], 100 * values["class_consistency"]] in points
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == sum(row.has_classes for row in results.stage1_rows)
    assert names_are_readable(axes, points)


def test_names_of_crowded_points_do_not_overlap():
    axes = Figure(figsize=(9, 5)).subplots()
    points = [(x, y) for x in (1.0, 1.01, 1.02, 5.0) for y in (10.0, 10.1, 10.2, 10.3)]
    axes.plot(*zip(*points, strict=True), "o")
    label_points(axes, points, [f"point-{place}" for place in range(len(points))])
    assert names_are_readable(axes, points)
    far = [text for text in axes.texts if text.arrow_patch.get_visible()]
    leads = {text: text.arrow_patch.get_path().transformed(text.arrow_patch.get_transform()) for text in far}
    others = ((one, other) for one in far for other in axes.texts if other is not one)
    assert far and not any(leads[one].intersects_bbox(Text.get_window_extent(other)) for one, other in others)


def test_points_without_a_name_get_none():
    axes = Figure().subplots()
    axes.plot([1, 2], [1, 2], "o")
    label_points(axes, [(1.0, 1.0), (2.0, 2.0)], ["", ""])
    assert not axes.texts
    label_points(axes, [(1.0, 1.0), (2.0, 2.0)], ["", "second"])
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("second", (2.0, 2.0))]


def test_confusion_is_in_percent_of_the_intended_class(results, drawn):
    panels = [axes for axes in drawn(figures, "confusion", results).axes if axes.images]
    assert [axes.get_title(loc="left") or axes.get_title() for axes in panels][1].startswith("A: a-0.5-n20, ")
    counts = np.array(results.runs["stage2-a-0.5-n20"].values["confusion"])
    shown = panels[1].images[0].get_array()
    assert np.allclose(shown, counts / 10) and np.allclose(shown.sum(axis=1), 100)
    assert len(panels) == 5 and len({axes.images[0].get_clim() for axes in panels}) == 1


def test_gradients_are_drawn_by_generator_steps_on_a_log_axis(results, drawn):
    panels = drawn(figures, "gradients", results).axes
    norms, cosines = panels[:4], panels[4:]
    assert {axes.get_yscale() for axes in norms} == {"log"} and {axes.get_ylim() for axes in cosines} == {(-1, 1)}
    assert all(len(axes.lines) == 3 for axes in norms)
    assert norms[0].lines[0].get_xdata()[-1] == 200 * 20


def test_curves_show_every_stage_1_and_every_representative(results, drawn):
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in drawn(figures, "curves", results).axes]
    wanted = [
        *results.params.two_stage.stage1,
        *(f"{group}: {row.name}" for group, row in list(results.representatives.items())[1:]),
    ]
    assert [title for title in titles if title] == wanted


def test_a_stage_1_that_was_given_has_no_curve(project):
    (project.folders.models / "two-stage" / "stage1" / "curves.csv").unlink()
    assert figures.curves(project.read("two-stage")).png


@pytest.mark.parametrize("name", PICTURES)
def test_a_small_profile_fills_every_figure(tmp_path, name):
    results = build_project(tmp_path, splits=("balanced",), data="digits-rgb", profile="demo").read("two-stage")
    assert getattr(figures, name)(results).png

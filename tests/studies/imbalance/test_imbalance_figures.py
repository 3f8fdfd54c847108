"""Figures: the common pieces, and what study 1 draws with them."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from made_up import build_project
from modescope.errors import UserError
from modescope.pictures import tiles
from modescope.report.figures import (
    DPI,
    Look,
    Series,
    bars_on_target,
    image_sheet,
    points_against,
    render,
)
from modescope.studies import imbalance

RNG = np.random.default_rng(0)
RED, BLUE = Look("red", "#ff0000"), Look("blue", "#0000ff", "s")


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_the_same_drawing_gives_the_same_bytes_without_date():
    def draw(figure):
        figure.subplots().plot([1, 2], [3, 4])

    first, second = render(draw, 3, 2), render(draw, 3, 2)
    assert first == second
    assert opened(first).size == (3 * DPI, 2 * DPI)
    assert not opened(first).info


def test_image_sheet_keeps_every_pixel():
    cells = [[RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8) for _ in range(3)] for _ in range(2)]
    sheet = np.asarray(opened(image_sheet(cells, ["one", "two"], ["a", "b", "c"], scale=2)))
    left = sheet.shape[1] - 3 * (16 + 14)
    top = sheet.shape[0] - 2 * (12 + 14)
    for row in range(2):
        for column in range(3):
            y, x = top + row * (12 + 14), left + column * (16 + 14)
            assert np.array_equal(sheet[y : y + 12 : 2, x : x + 16 : 2], cells[row][column])


def test_small_images_grow_until_the_titles_of_their_columns_fit():
    cells = [[np.zeros((8, 17, 3), np.uint8)] * 2]
    narrow, wide = (opened(image_sheet(cells, ["row"], titles)).size for titles in (["a", "b"], ["automobile"] * 2))
    assert wide[0] - narrow[0] >= 2 * (13 * 10 - 2 * 17 - 14)


def test_points_against_joins_only_what_is_connected():
    axes = Figure().subplots()
    series = [Series(RED, [3.0, 1.0, 2.0], [5.0, 9.0, 4.0], [None, 3.0, None], [True, False, True])]
    points_against(axes, series, {1.0: "one", 2.0: "two", 3.0: "three"}, "FID", "IR")
    assert axes.lines[0].get_xydata().tolist() == [[2.0, 4.0], [3.0, 5.0]]
    assert axes.get_ylim() == (0, pytest.approx(1.08 * 12))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["one", "two", "three"]


def test_bars_on_target_draws_every_value_before_its_target():
    axes = Figure().subplots()
    bars_on_target(axes, ["cat", "dog"], [40, 60], {RED: [30, 70], BLUE: [50, 50]})
    heights = [[bar.get_height() for bar in container] for container in axes.containers]
    assert heights == [[40, 60], [30, 70], [50, 50]]
    target, *bars = axes.containers
    inside = [
        abs(bar.get_x() + bar.get_width() / 2 - place) for container in bars for place, bar in enumerate(container)
    ]
    assert max(inside) < target[0].get_width() / 2


@pytest.mark.parametrize(("extractors", "rows"), [(("judge",), 2), (("judge", "inception"), 2)])
def test_scores_of_two_extractors_never_share_a_panel(tmp_path, drawn, extractors, rows):
    project = build_project(tmp_path, extractors=extractors)
    results = project.read("imbalance")
    figure = drawn(imbalance.figures, "scores_against_ratio", results, "gan", ("gan",))
    assert len(figure.axes) == 2 * rows
    ours = [results.runs[f"{model}-split1"].values["fid_classifier"] for model in ("gan", "real")]
    judge, inception = (
        [float(line.get_ydata()[-1]) for line in axes.lines if len(line.get_xdata()) > 0] for axes in figure.axes[1::2]
    )
    assert set(ours) <= set(judge) and not set(ours) & set(inception)
    assert 225.7790 in inception and 225.7790 not in judge


def test_no_reported_panel_for_other_data(tmp_path, drawn):
    project = build_project(tmp_path, data="digits-rgb")
    results = project.read("imbalance")
    assert len(drawn(imbalance.figures, "scores_against_ratio", results, "vae", ("vae", "vae-gmm")).axes) == 2


def test_class_share_bars_hold_the_measured_shares(results, drawn):
    figure = drawn(imbalance.figures, "class_shares", results)
    panel = next(
        axes
        for axes in figure.axes
        if axes.get_title(loc="left").startswith("split1") or axes.get_title().startswith("split1")
    )
    heights = [[bar.get_height() for bar in container] for container in panel.containers]
    share = results.runs["gan-split1"].values["class_share"]
    cat = results.runs["gan-split1"].classes.index("cat")
    assert heights[0] == pytest.approx([40, 15, 15, 15, 15, 0])
    assert heights[2][0] == pytest.approx(100 * share[cat])
    assert sum(heights[2]) == pytest.approx(100)
    assert len(heights) == 5


@pytest.mark.parametrize("picture", ["samples", "reconstructions", "curves", "class_shares"])
def test_pictures_are_readable_and_repeatable(results, picture):
    draw = getattr(imbalance.figures, picture)
    first = draw(results)
    assert first.png == draw(results).png
    assert min(opened(first.png).size) > 50
    assert first.alt and first.caption.endswith(".")


def test_samples_show_the_last_grid(project, results):
    folder = results.runs["gan-split1"].folder / "samples"
    pixels = np.asarray(opened(imbalance.figures.samples(results).png))
    last = tiles(np.asarray(Image.open(folder / "step-000200.png")), size=8)[0]

    def shown(scale):  # a sheet's pixels are squares, as large as its titles need
        image = last.repeat(scale, axis=0).repeat(scale, axis=1)
        places = np.argwhere((pixels == image[0, 0]).all(axis=-1))
        return any(np.array_equal(pixels[y : y + len(image), x : x + len(image)], image) for y, x in places)

    assert any(shown(scale) for scale in range(2, 6))


def test_the_first_previews_of_a_model_with_labels_are_shown_and_every_fourth_of_others(results, monkeypatch):
    """Eight of each of five classes, in turn: with a stride there are too few, and of ten classes only every other."""
    shown, grid = [], np.arange(40, dtype=np.uint8).repeat(64).reshape(40, 8, 8)
    monkeypatch.setattr(imbalance.figures, "WITH_LABELS", ("gan",))
    monkeypatch.setattr(imbalance.figures, "previews", lambda results, run: grid)
    monkeypatch.setattr(
        imbalance.figures, "mosaic", lambda images, columns: shown.append(images[:, 0, 0].tolist()) or images[0]
    )
    monkeypatch.setattr(type(imbalance.figures.TEXTS("samples")), "sheet", lambda self, rows, columns: rows)
    rows, splits = list(imbalance.figures.samples(results)), len(results.splits)
    of = {label: shown[at * splits] for at, label in enumerate(rows)}
    assert of["GAN"] == list(range(16)) and of["VAE"] == list(range(0, 40, 4))


def test_a_missing_grid_is_named(results):
    for file in (results.runs["vae-split1"].folder / "reconstructions").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="vae-split1 has no picture"):
        imbalance.figures.reconstructions(results)

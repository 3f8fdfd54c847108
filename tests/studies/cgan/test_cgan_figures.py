"""Study 3's figures: they show the numbers and images of the right rows."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import BarContainer
from PIL import Image

from made_up import build_project
from modescope.data.prepared import load_prepared
from modescope.errors import UserError
from modescope.pictures import mosaic, tiles
from modescope.report import figures as report_figures
from modescope.studies.cgan import figures, sheets

CHARTS = [(figures, name) for name in ("benchmark", "labels_gain", "curves")]
SHEETS = [(sheets, name) for name in ("samples", "per_class", "fixed_z", "unlabelled_samples", "stacked_samples")]
LOSSES = ["bce", "lsgan", "hinge", "wgan-gp"]
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def laid(monkeypatch):
    """(cells, rows, columns) of a sheet."""

    def lay(name, results):
        given = []
        monkeypatch.setattr(report_figures, "image_sheet", lambda *sheet, **more: given.append(sheet) or b"")
        getattr(sheets, name)(results)
        return given[0]

    return lay


def previews(run, kind="samples"):
    return tiles(np.asarray(Image.open(sorted((run.folder / kind).iterdir())[-1])), size=28)


def bars(axes):
    return (container for container in axes.containers if isinstance(container, BarContainer))


def heights(container):
    return [bar.get_height() for bar in container.patches]


def values_of(results, metric, mode=None):
    names = [f"{mode}-{loss}" for loss in LOSSES] if mode else [row.name for row in results.shown]
    return [results.runs[name].values[metric] for name in names]


@pytest.mark.parametrize(("module", "name"), CHARTS + SHEETS)
def test_pictures_are_readable_and_repeatable(results, module, name):
    first = getattr(module, name)(results)
    assert first.png == getattr(module, name)(results).png
    assert min(Image.open(io.BytesIO(first.png)).size) > 50
    assert first.alt and first.caption.endswith(".")


def test_the_benchmark_draws_the_measured_values(project, drawn):
    for place, loss in enumerate(LOSSES):
        project.change(
            f"cgan-{loss}",
            "cgan",
            kid_classifier_mean=0.01 * (place + 1),
            kid_classifier_std=0.001 * (place + 1),
            seconds=100.0 * (place + 1),
        )
    results = project.read("cgan")
    fid, kid, seconds, _, consistent, _, _ = drawn(figures, "benchmark", results).axes
    assert heights(fid.containers[0]) == values_of(results, "fid_classifier")
    assert (
        list(fid.lines[0].get_ydata()) == [min(values_of(results, "fid_classifier"))] * 2
        and fid.lines[0].get_linestyle() == "--"
    )
    assert heights(next(bars(kid))) == values_of(results, "kid_classifier_mean")
    (errors,) = list(kid.collections)
    assert [np.ptp(segment[:, 1]) / 2 for segment in errors.get_segments()] == pytest.approx(
        values_of(results, "kid_classifier_std")
    )
    assert heights(seconds.containers[0]) == values_of(results, "seconds")
    assert heights(consistent.containers[0]) == pytest.approx(
        [100 * value for value in values_of(results, "class_consistency")]
    )
    assert fid.get_ylabel() == "of the judge's features"
    assert [label.get_text() for label in fid.get_xticklabels()] == [*LOSSES, results.best.name]


def test_a_critics_loss_has_its_own_axis(results, drawn):
    *_, losses, _, _, right = drawn(figures, "benchmark", results).axes
    assert len(losses.lines) == 4 and len(right.lines) == 1 and right.get_ylabel() == "wgan-gp"
    table = pd.read_csv(results.runs["cgan-wgan-gp"].folder / "curves.csv")
    smooth = right.lines[0].get_ydata()
    assert smooth[0] == table["train/g_loss"][0] and smooth[5] == pytest.approx(table["train/g_loss"][4:6].mean())


@pytest.mark.parametrize(("losses", "axes"), [(["bce", "hinge"], 6), (["wgan-gp"], 7)])
def test_one_kind_of_discriminator_needs_one_axis(project, drawn, losses, axes):
    project.change_params({"cgan": {"losses": losses}})  # ours is of the hinge loss
    assert len(drawn(figures, "benchmark", project.read("cgan")).axes) == axes


def test_the_radar_is_the_lowest_value_as_a_part_of_the_own(project, drawn):
    for place, loss in enumerate(LOSSES):
        project.change(
            f"cgan-{loss}",
            "cgan",
            fid_classifier=2.0 * (place + 1),
            kid_classifier_mean=0.01,
            seconds=50.0 * (place + 1),
            recall=0.25,
            class_consistency=0.5,
        )
    project.change_params({"cgan": {"ours": {}}})
    radar = drawn(figures, "benchmark", project.read("cgan")).axes[5]
    assert [label.get_text() for label in radar.get_xticklabels()] == ["FID", "KID", "consistency", "recall", "speed"]
    assert radar.lines[0].get_ydata() == pytest.approx([1, 1, 0.5, 0.25, 1, 1])
    assert radar.lines[3].get_ydata() == pytest.approx([0.25, 1, 0.5, 0.25, 0.25, 0.25])


def test_a_kid_below_zero_is_the_best_there_is(project, drawn):
    project.change("cgan-lsgan", "cgan", kid_classifier_mean=-0.0001)
    radar = drawn(figures, "benchmark", project.read("cgan")).axes[5]
    assert radar.lines[1].get_ydata()[1] == 1 and radar.lines[0].get_ydata()[1] < 0.01


def test_inceptions_scores_are_shown_where_they_are_measured(tmp_path, drawn):
    results = build_project(tmp_path, splits=("split1",), extractors=("judge", "inception")).read("cgan")
    fid, kid, *_ = drawn(figures, "benchmark", results).axes
    assert (
        heights(fid.containers[0]) == values_of(results, "fid")
        and fid.get_ylabel() == kid.get_ylabel() == "of Inception's features"
    )
    fid, *_ = drawn(figures, "labels_gain", results).axes
    assert heights(fid.containers[0]) == values_of(results, "fid", "cgan")


def test_labels_gain_is_the_part_of_fid_that_labels_take_away(project, drawn):
    project.change("cgan-bce", "cgan", fid_classifier=3.0)
    project.change("dcgan-bce", "cgan", fid_classifier=4.0)
    project.change("cgan-hinge", "cgan", fid_classifier=5.5)
    project.change("dcgan-hinge", "cgan", fid_classifier=5.0)
    results = project.read("cgan")
    fid, kid, gain = drawn(figures, "labels_gain", results).axes
    assert [heights(container) for container in fid.containers] == [
        values_of(results, "fid_classifier", mode) for mode in ("cgan", "dcgan")
    ]
    assert [heights(container) for container in bars(kid)] == [
        values_of(results, "kid_classifier_mean", mode) for mode in ("cgan", "dcgan")
    ]
    gains = heights(gain.containers[0])
    assert gains[0] == pytest.approx(25) and gains[2] == pytest.approx(-10)
    cgan, dcgan = ([bar.get_x() for bar in container.patches] for container in fid.containers)
    assert all(left + 0.38 < right for left, right in zip(cgan, dcgan, strict=True))


def test_curves_have_losses_scores_and_gradients_of_every_shown_row(results, drawn):
    panels = np.array(drawn(figures, "curves", results).axes).reshape(3, -1)
    assert [axes.get_title(loc="left") or axes.get_title() for axes in panels[0]] == [
        row.label for row in results.shown
    ]
    table = pd.read_csv(results.runs["cgan-lsgan"].folder / "curves.csv")
    drawn_columns = [line.get_ydata().tolist() for axes in panels[:, 1] for line in axes.lines]
    columns = ("d_loss", "g_loss", "d_real", "d_fake", "d_gradient_norm", "g_gradient_norm")
    assert drawn_columns == [table[f"train/{column}"].tolist() for column in columns]
    assert {axes.get_yscale() for axes in panels[2]} == {"log"}


def test_without_labels_the_curves_are_the_dcgans(project, drawn):
    project.change_params({"cgan": {"modes": ["dcgan"], "ours": {}}})
    panels = drawn(figures, "curves", project.read("cgan")).axes
    table = pd.read_csv(project.folders.models / "cgan" / "dcgan-bce" / "curves.csv")
    assert panels[0].lines[0].get_ydata().tolist() == table["train/d_loss"].tolist()


def test_samples_have_a_block_for_each_digit_under_training_images(results, laid):
    cells, rows, columns = laid("samples", results)
    assert rows == ["training images", *LOSSES, results.best.name] and columns == DIGITS
    data = load_prepared(results.folders.data / "grey" / "train.safetensors").images
    assert np.array_equal(cells[0][4], mosaic(data[4::10, 0].numpy(), 2))
    assert np.array_equal(cells[2][7], mosaic(previews(results.runs["cgan-lsgan"])[7::10], 2)) and cells[2][
        7
    ].shape == (4 * 29 - 1, 2 * 29 - 1)


def test_five_of_each_digit_of_every_row_with_labels(results, laid):
    cells, rows, _ = laid("per_class", results)
    assert rows == [row.label for row in results.labelled]
    assert np.array_equal(cells[5][3], mosaic(previews(results.runs["cgan-ours-no-ema"])[3::10][:5], 1))


def test_a_line_shares_its_z_and_a_column_its_label(results, laid):
    images = previews(results.runs["cgan-hinge"], "fixed_z")
    cells, rows, columns = laid("fixed_z", results)
    assert rows[2] == "hinge" and columns == DIGITS
    assert np.array_equal(cells[2][6][3 * 29 : 3 * 29 + 28], images[3 * 10 + 6])
    assert np.array_equal(cells[2][9][:28], images[9])


def test_sheets_without_labels_show_every_preview(results, laid):
    cells, rows, _ = laid("unlabelled_samples", results)
    assert rows == LOSSES and np.array_equal(cells[1][0], mosaic(previews(results.runs["dcgan-lsgan"]), 16))
    cells, rows, _ = laid("stacked_samples", results)
    assert rows == ["test digits", *results.params.stacked.losses]
    assert np.array_equal(cells[0][0], mosaic(previews(results.runs["stacked-real"]), 16)) and cells[0][0].shape == (
        4 * 29 - 1,
        16 * 29 - 1,
        3,
    )


def test_a_missing_grid_is_named(project):
    for file in (project.folders.models / "cgan" / "cgan-bce" / "fixed_z").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="cgan-bce has no picture"):
        sheets.fixed_z(project.read("cgan"))

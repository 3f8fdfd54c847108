"""`modescope compare --html`: one page of many runs, small, whole, and true to their files."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from modescope.errors import UserError
from modescope.files import write_json
from modescope.mlflow import filing
from modescope.report.compared import by_seed, changed, read_runs, scores, write_comparison
from modescope.report.sketch import Line, sketch
from modescope.runs.listing import matching_runs
from modescope.scoring.compare import compare

INFO = {"key": "ab", "study": "cgan", "model": "cgan", "status": "finished", "data": {"split": "balanced"}}


def write(run: str, seed: int = 42, pictures: int = 3, side: int = 242, **params) -> None:
    folder = Path("models/cgan", run)
    info = {**INFO, "run": run, "key": f"key-{run}", "params": {"seed": seed, "cgan": {"lr": 0.1}, **params}}
    write_json(folder / "run.json", info)
    lines = "".join(f"{step},{step * 0.5 + seed}\n" for step in range(0, 2000, 5))
    (folder / "curves.csv").write_text(f"step,train/g_loss\n{lines}", encoding="utf-8")
    (folder / "samples").mkdir()
    small = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
    for step in range(100, 100 * pictures + 1, 100):
        Image.fromarray(small.repeat(4, 0).repeat(4, 1)).save(folder / "samples" / f"step-{step:06d}.png")
    write_json(Path("metrics/cgan", f"{run}.json"), {"fid_classifier": seed / 10, "recall": 0.5})


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("results: ''\n", encoding="utf-8")
    monkeypatch.setattr(filing, "links", lambda studies: {key: f"http://localhost/{key}" for key in studies})
    write("cgan-bce")
    write("cgan-bce-s44", seed=44)
    write("cgan-ours", loss="<hinge>")


def test_runs_are_found_by_pattern_and_once(project):
    names = [folder.name for folder in matching_runs(["cgan-o*", "cgan-*", "cgan-bce"])]
    assert names == ["cgan-ours", "cgan-bce", "cgan-bce-s44"]
    with pytest.raises(UserError, match="unknown run `dcgan-\\*`: there are cgan-bce"):
        matching_runs(["cgan-*", "dcgan-*"])


def test_seeds_are_one_row_with_their_spread(project):
    runs = read_runs(matching_runs(["cgan-*"]))
    groups = by_seed(runs)
    assert {name: [run.name for run in found] for name, found in groups.items()} == {
        "cgan-bce": ["cgan-bce", "cgan-bce-s44"],
        "cgan-ours": ["cgan-ours"],
    }
    assert scores(groups).cells == [
        ["cgan-bce (2 seeds)", "4.300 ± 0.141", "0.500 ± 0.000"],
        ["cgan-ours", "4.200", "0.500"],
    ]


def test_only_what_differs_in_the_parameters_is_shown(project):
    assert changed(read_runs(matching_runs(["cgan-*"]))).cells == [
        ["seed", "42", "44", "42"],
        ["loss", "–", "–", "<hinge>"],
    ]


def test_the_page_is_whole(project, capsys):
    app = typer.Typer()
    app.command()(compare)
    ended = CliRunner().invoke(app, ["cgan-*", "--html", "page.html"])
    assert ended.exit_code == 0 and "3 runs: page.html" in ended.output
    text = Path("page.html").read_text(encoding="utf-8")
    assert ".side img[hidden] { display: none; }" in text  # the page's style shows every picture
    assert len(re.findall(r"<img [^>]*hidden>", text)) == 6 and text.count("<img ") == 9
    assert '<a href="http://localhost/key-cgan-ours">MLflow</a>' in text and "&lt;hinge&gt;" in text
    assert text.count("<polyline") == 2 and text.count("<polygon") == 1
    assert not re.findall(r'(?:src|href)="(?!data:|#|http://localhost)[^"]*"', text)


def test_refusals(project):
    with pytest.raises(UserError, match="page.txt is no .html"):
        compare(["cgan-ours"], Path("page.txt"))
    with pytest.raises(UserError, match="3 names are too many to print"):
        compare(["a", "b", "c"])


def test_fifty_runs_make_a_page_of_ten_megabytes_at_most(project):
    for number in range(47):
        write(f"run-{number}", seed=number, pictures=12)
    runs, began = read_runs(matching_runs(["*"])), time.perf_counter()
    assert len(runs) == 50 and write_comparison(runs, {}, Path("page.html")) < 10e6
    print(time.perf_counter() - began)
    assert Path("page.html").read_text(encoding="utf-8").count("<img ") <= 250


def test_a_chart_has_its_lines_inside_and_few_points():
    line = Line("a & b", "red", range(1000), [float(x % 7) for x in range(1000)], [0.0] * 1000)
    chart = sketch([line])
    points = [
        tuple(map(float, point.split(","))) for point in re.search(r'polyline points="([^"]+)"', chart)[1].split()
    ]
    assert len(points) <= 150 and all(52 <= x <= 432 and 8 <= y <= 216 for x, y in points)
    assert "<title>a &amp; b</title>" in chart and sketch([]) == ""

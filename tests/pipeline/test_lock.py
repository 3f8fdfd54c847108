"""`make lock`: outputs stay under code that does the same, and only then, be they here or not."""

import shutil
from pathlib import Path

import pytest
import yaml

from benchmarks.clones import commit, run
from benchmarks.lock import bring_up_to_date, content, locked_code, md5

CODE = "data/code/vae.txt"


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A repository whose dvc.lock knows older code of vae.txt, and the same of gan.txt."""
    monkeypatch.chdir(tmp_path)
    for name in (".dvc/tmp", "data/code"):
        Path(name).mkdir(parents=True)
    Path(".dvc/config").write_text("[core]\n no_scm = true\n analytics = false\n", encoding="utf-8")
    for name in ("vae", "gan", "report"):
        Path(f"data/code/{name}.txt").write_text(f"code of {name}\n", encoding="utf-8")

    def entry(name, digest):
        return {"path": name, "hash": "md5", "md5": digest, "size": 65}

    gan = entry("data/code/gan.txt", md5(Path("data/code/gan.txt")))
    stages = {
        "vae@a": [entry(CODE, "a" * 32), entry("data/rgb", "a" * 32)],
        "vae@b": [entry(CODE, "a" * 32), gan],
        "other": [entry("data/code/removed.txt", "b" * 32)],
    }
    page = {name: [entry("data/code/report.txt", "c" * 32), entry(name, "d" * 32)] for name in ("made", "missing")}
    stages |= {f"report-{name}": deps for name, deps in page.items()}
    Path("made").touch()
    lock = {"schema": "2.0", "stages": {name: {"cmd": "true", "deps": deps} for name, deps in stages.items()}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    return lock


def test_the_code_that_the_lock_knows_and_that_is_other_today(locked):
    assert locked_code() == {CODE: "a" * 32, "data/code/report.txt": "c" * 32}


def test_pages_that_can_be_made_anew_are_left_to_dvc(locked):
    Path("missing").touch()
    assert locked_code() == {CODE: "a" * 32}


def test_todays_code_takes_its_place_and_nothing_else_changes(locked):
    Path("missing").touch()
    bring_up_to_date(locked_code())
    for stage in ("vae@a", "vae@b"):
        locked["stages"][stage]["deps"][0] |= {"md5": md5(Path(CODE)), "size": Path(CODE).stat().st_size}
    assert yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8")) == locked
    assert locked_code() == {}


def changed(file, before, after):
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), encoding="utf-8")


def test_a_page_and_a_table_of_scores_count_but_for_their_clocks(tmp_path):
    def made(name, **files):
        for file, text in ({"reports/index.html": "<p>1</p>", "a.json": '{"fid": 1, "seconds": 2}'} | files).items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text, encoding="utf-8")
        return content(tmp_path / name, ["reports", "a.json"])

    first = made("first", **{"reports/run.json": "{}"})
    assert set(first) == {"reports/index.html", "a.json"}
    assert first == made("clock", **{"a.json": '{"fid": 1, "seconds": 3}'})
    assert first != made("score", **{"a.json": '{"fid": 2, "seconds": 2}'})
    assert first != made("page", **{"reports/index.html": "<p>2</p>"})
    assert first != made("more", **{"reports/more.svg": "<svg/>"})


@pytest.mark.slow
def test_code_that_does_the_same_is_taken_also_without_models_and_other_code_is_not(clone):
    shutil.rmtree(clone / "models")
    mixture, page = clone / "src/modescope/stages/mixture.py", clone / "src/modescope/studies/cgan/page.py"
    changed(mixture, "components, params.seed)", "components, params.seed + 0)")
    changed(page, "items = [tables.summary(results), ", "items = [tables.summary(results)] + [")
    printed, _ = run("python -m benchmarks.lock", clone)
    assert "3 modules differ" in printed and "dvc.lock: 3 modules at the code of today" in printed
    assert all(f"report-{study}" in printed for study in ("imbalance", "cgan", "two-stage", "classifiers"))
    run("dvc checkout -q", clone)
    assert "up to date" in run("dvc status", clone)[0]
    commit(clone, "the same seed and page")
    changed(mixture, "components, params.seed + 0)", "components, params.seed + 1)")
    printed, _ = run("python -m benchmarks.lock", clone, expect=2)
    assert "model.safetensors of the demo differs under the code of today" in printed and "Traceback" not in printed

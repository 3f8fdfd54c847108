"""`make lock`: outputs stay under code that does the same, and only then."""

import pytest
import yaml

from benchmarks.clones import commit, run
from benchmarks.lock import changed_code_alone, locked_code


def test_the_code_that_the_lock_knows(tmp_path, monkeypatch):
    stage = {"deps": [{"path": "data/code/vae.txt", "md5": "1"}, {"path": "data/rgb", "md5": "2"}]}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": {"vae@a": stage, "b": stage}}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert locked_code(["vae@a"]) == {"data/code/vae.txt": "1"}


def test_stages_whose_code_alone_changed():
    code, data = {"changed deps": {"data/code/a.txt": "modified"}}, {"changed deps": {"data/rgb": "modified"}}
    status = {
        "a": [code],
        "b": [code, data],
        "c": [{"changed deps": {"data/code/a.txt": "modified", "x": "new"}}],
        "d": [code, {"changed outs": {"models/x": "modified"}}],
        "e": ["changed command"],
        "f": [code, {"changed deps": {"params.yaml": {"seed": "modified"}}}],
        "report-a": [code],
    }
    assert changed_code_alone(status) == ["a"]


@pytest.mark.slow
def test_code_that_does_the_same_is_committed_and_other_code_is_not(clone):
    file = clone / "src/modescope/stages/mixture.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("components, params.seed)", "components, params.seed + 0)"), encoding="utf-8")
    printed, _ = run("python -m benchmarks.lock", clone)
    assert "one stage of each of 1 modules" in printed and "dvc.lock: 1 modules at the code of today" in printed
    assert "up to date" in run("dvc status", clone)[0]
    commit(clone, "the same seed")
    file.write_text(text.replace("components, params.seed)", "components, params.seed + 1)"), encoding="utf-8")
    printed, _ = run("python -m benchmarks.lock", clone, expect=2)
    assert "model.safetensors of the demo differs under the code of today" in printed and "Traceback" not in printed

"""`make lock`: outputs stay under code that does the same, and only then."""

import pytest

from benchmarks.clones import run
from benchmarks.lock import changed_code_alone


def test_stages_whose_code_alone_changed():
    code, data = {"changed deps": {"data/code/a.txt": "modified"}}, {"changed deps": {"data/rgb": "modified"}}
    status = {
        "a": [code],
        "b": [code, data],
        "c": [{"changed deps": {"data/code/a.txt": "modified", "x": "new"}}],
        "d": [code, {"changed outs": {"models/x": "modified"}}],
        "e": ["changed command"],
        "f": [code, {"changed deps": {"params.yaml": {"seed": "modified"}}}],
    }
    assert changed_code_alone(status) == ["a"]


@pytest.mark.slow
def test_code_that_does_the_same_is_committed_and_other_code_is_not(clone):
    file = clone / "src/modescope/training/vae.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("settings.eval_fraction)", "settings.eval_fraction * 1)"), encoding="utf-8")
    printed, _ = run("python -m benchmarks.lock", clone)
    assert "imbalance@vae-" in printed and "hybrid: once more" in printed and "imbalance@gan" not in printed
    assert "up to date" in run("dvc status", clone)[0]
    file.write_text(text.replace("torch.exp(0.5 *", "torch.exp(0.4 *"), encoding="utf-8")
    printed, _ = run("python -m benchmarks.lock", clone, expect=2)
    assert "model.safetensors differs under the code of today" in printed and "Traceback" not in printed

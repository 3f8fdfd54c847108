"""`make lock`: outputs stay under code that does the same, and only then."""

import pytest
import yaml

from benchmarks.clones import run
from benchmarks.lock import changed_code_alone, kinds


def test_a_kind_is_a_stage_for_each_model_whose_code_is_its_own(tmp_path, monkeypatch):
    def stage(code, out):
        return {"deps": [{"path": f"data/code/{code}.txt"}], "outs": [{"path": out}]}

    stages = {
        "imbalance@vae-a": stage("imbalance-vae", "models/vae-a"),
        "imbalance@vae-b": stage("imbalance-vae", "models/vae-b"),
        "imbalance@gan-a": stage("imbalance-gan", "models/gan-a"),
        "report-imbalance": stage("report", "reports/imbalance"),
    }
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = [{name: [str(out) for out in outs] for name, outs in kind.items()} for kind in kinds([*stages]).values()]
    assert found == [
        {"imbalance@vae-a": ["models/vae-a"], "imbalance@vae-b": ["models/vae-b"]},
        {"imbalance@gan-a": ["models/gan-a"]},
    ]


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
    file = clone / "src/modescope/training/hybrid.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("coder.eval_fraction)", "coder.eval_fraction * 1)"), encoding="utf-8")
    printed, _ = run("python -m benchmarks.lock", clone)
    assert printed.count("once more") == 1 and "hybrid: once more" in printed
    assert "up to date" in run("dvc status", clone)[0]
    file.write_text(text.replace("elbo + self", "elbo - self"), encoding="utf-8")
    printed, _ = run("python -m benchmarks.lock", clone, expect=2)
    assert "model.safetensors differs under the code of today" in printed and "Traceback" not in printed

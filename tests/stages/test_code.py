"""Stage `code` under DVC: an edit that changes nothing runs it alone, and its outputs stay as they were."""

import pytest

from benchmarks.clones import copy_of_the_repository, run


@pytest.mark.slow
def test_dvc_runs_code_alone_after_a_comment_and_nothing_after_a_compiled_file(tmp_path):
    folder = copy_of_the_repository(tmp_path / "clone")
    run("dvc repro -q code", folder)
    before = {path.name: path.read_bytes() for path in (folder / "data/code").iterdir()}
    cached = folder / "src/modescope/training/__pycache__"
    cached.mkdir(exist_ok=True)
    (cached / "more.pyc").write_bytes(b"compiled")
    assert "changed" not in run("dvc status code", folder)[0]
    file = folder / "src/modescope/training/vae.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("\n\n\n", "\n# A comment.\n\n\n"), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != text
    assert "Running stage 'code'" in run("dvc repro code", folder)[0]
    assert {path.name: path.read_bytes() for path in (folder / "data/code").iterdir()} == before

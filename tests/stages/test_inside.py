"""The stages `features` and `inside`, and `modescope inside`, on digits: a small judge, an untrained generator."""

from pathlib import Path

import pytest
import torch

import small_runs
from modescope import cli
from modescope.data.prepared import save_prepared
from modescope.data.sources import fetch
from modescope.errors import UserError
from modescope.files import read_json, write_json
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.runs.folder import read_run
from modescope.runs.listing import finished_runs
from modescope.stages import features, inside

JUDGE, METRICS = Path("models/classifiers/rgb-judge"), Path("profiles/demo/metrics")
EVALUATION = {"num_samples": 200, "prdc_samples": 200, "kid_subsets": 3, "kid_subset_size": 10, "is_splits": 2}


@pytest.fixture(scope="module")
def project(make_project):
    params = small_runs.DEMO.model_dump(by_alias=True)
    params["evaluation"] |= EVALUATION
    folder = make_project(params | {"inside": params["inside"] | {"imbalance": ["gan-split1"]}})
    save_prepared(fetch("digits-rgb")["test"], Path("data/rgb/test.safetensors"), "test")
    torch.manual_seed(0)
    save_weights(build_classifier("resnet", [4, 6], 10, 3, "judge").state_dict(), JUDGE)
    settings = {"network": "resnet", "widths": [4, 6], "role": "judge"}
    described = {"key": "00", "study": "classifiers", "run": "rgb-judge", "model": "resnet", "status": "finished"}
    data = {"name": "digits-rgb", "classes": small_runs.CLASSES}
    write_json(JUDGE / "run.json", described | {"params": {"classifiers": {"rgb-judge": settings}}, "data": data})
    write_json(METRICS / "classifiers" / "rgb-judge.json", {"accuracy": 0.5})
    for run in ("gan-split1", "gan-ours-split1"):
        small_runs.write_run(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside, "push", lambda *_, **__: None)
        features.main(Path("data/rgb"), JUDGE, Path("data/features/rgb"))
        yield folder


def test_the_command_looks_inside_any_run(project, capsys):
    cli.inside("gan-ours-split1")
    folder, numbers = (
        Path("data/inside/imbalance/gan-ours-split1"),
        METRICS / "imbalance" / "inside-gan-ours-split1.json",
    )
    measured, info = read_json(numbers), read_run(folder)
    assert info["run"] == "inside-gan-ours-split1" and folder in finished_runs(Path())
    assert {"misjudged", "paths", "lost"} <= {file.name for file in folder.iterdir()}
    assert len(measured["coverage_per_class"]) == 10 and measured["ct_planted_judge"] < measured["ct_test_judge"]
    page = Path("exports/inside/gan-ours-split1/index.html")
    assert str(page) in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "<h1>Inside gan-ours-split1</h1>" in text and "the real images that lie furthest from all samples" in text


def test_a_run_of_the_pipelines_is_left_to_its_stage(project):
    with pytest.raises(UserError, match="dvc repro"):
        cli.inside("gan-split1")


def test_stacked_digits_are_no_images_for_the_judge(project):
    run = small_runs.write_run("cgan-ours")
    info = read_run(run)
    stacked = run.with_name("stacked-bce")
    run.rename(stacked)
    write_json(stacked / "run.json", info | {"run": "stacked-bce", "model": "stacked"})
    with pytest.raises(UserError, match="stacked-bce draws digits in three channels, of which the judge sees one"):
        cli.inside("stacked-bce")

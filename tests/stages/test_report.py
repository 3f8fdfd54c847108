"""Stage `report` on a made-up project, with a real MLflow store."""

import pytest
import yaml

from made_up import build_project
from modescope.errors import UserError
from modescope.files import read_json, write_json
from modescope.mlflow import filing
from modescope.stages import report
from small_runs import write_run


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return build_project(tmp_path, splits=("split1",))


def run(project):
    report.main(
        "imbalance",
        project.folders.metrics,
        project.folders.models,
        project.root / "reports" / "imbalance",
        project.folders.data,
    )


def test_report_files_the_runs_and_refuses_changed_numbers(project, capsys):
    run(project)
    page = project.root / "reports" / "imbalance" / "index.html"
    assert f"report: {page}" in capsys.readouterr().out
    written = page.read_bytes()
    runs = {project.keys[f"{model}-split1"] for model in ("real", "gan", "vae", "vae-gmm", "inside-gan")}
    assert set(filing.read_final("imbalance", list(project.tracked))) == runs
    run(project)
    assert page.read_bytes() == written

    file = project.folders.metrics_file("imbalance", "gan-split1")
    honest = read_json(file)
    write_json(file, honest | {"recall": 0.999})
    with pytest.raises(UserError, match=f"gan-split1: recall is 0.999 in .* but {honest['recall']!r} in MLflow"):
        run(project)
    assert page.read_bytes() == written


def test_a_generator_is_looked_into_on_a_page_beside_the_studys(project):
    file, out = project.root / "params.yaml", project.root / "reports" / "imbalance"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    values["inside"]["explore"]["imbalance"] = "gan-ours-split1"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UserError, match="inside.explore names gan-ours-split1, which is not trained; .* gan-split1"):
        run(project)
    assert not out.exists() and not (project.root / "mlflow.db").exists()
    write_run("gan-ours-split1", project.folders.models)
    run(project)
    assert '<a href="explore.html">Look inside' in (out / "index.html").read_text(encoding="utf-8")
    inside = (out / "explore.html").read_text(encoding="utf-8")
    assert 'href="index.html"' in inside and "gan-ours-split1, key 00000000000000aa" in inside


def test_a_study_is_named(project):
    with pytest.raises(
        UserError, match="unknown study `imbalances`: there are imbalance, two-stage, cgan, classifiers"
    ):
        report.main(
            "imbalances",
            project.folders.metrics,
            project.folders.models,
            project.root / "reports" / "x",
            project.folders.data,
        )


def test_an_unreachable_store_is_one_line_and_nothing_is_written(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="127.0.0.1:9 cannot be used") as error:
        run(project)
    assert "\n" not in str(error.value)
    assert not (project.root / "reports").exists()

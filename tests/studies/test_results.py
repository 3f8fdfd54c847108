"""Reading the runs: what is missing, and what MLflow and the files disagree on."""

import pytest

from made_up import rewrite
from modescope.dotted import numbers
from modescope.errors import UserError
from modescope.studies import STUDIES

RUN = "gan-split1"


def test_every_run_of_params_is_expected(project):
    names: dict[str, dict] = {}
    for study in STUDIES:
        for name, places in project.planned(study).expected().items():
            names.setdefault(name, {}).update(places)
    assert set(names["imbalance"]) == {
        f"{model}-{split}" for model in ("real", "gan", "vae", "vae-gmm") for split in ("balanced", "split1")
    } | {"inside-gan-balanced"}
    assert set(names["classifiers"]) == set(project.params.classifiers)
    stages = {*project.params.two_stage.stage1, *(f"stage2-{row}" for row in project.params.two_stage.rows)}
    assert set(names["two-stage"]) == stages | {"hybrid", "inside-stage1"}
    digits = {
        *(f"{mode}-{loss}" for mode in project.params.cgan.modes for loss in project.params.cgan.losses),
        *project.params.cgan.ours,
    }
    stacked = {f"stacked-{name}" for name in (*project.params.stacked.losses, "real")}
    assert set(names["cgan"]) == digits | stacked | {"real-digits", "inside-cgan-ours", "inside-cgan-bce"}


def test_a_missing_run_is_named(project):
    (project.folders.models / "imbalance" / RUN / "run.json").unlink()
    with pytest.raises(UserError, match=f"run {RUN} is missing"):
        project.read("imbalance")


def test_missing_metrics_are_named(project):
    project.folders.metrics_file("imbalance", "real-split1").unlink()
    with pytest.raises(UserError, match="run real-split1 has no metrics"):
        project.read("imbalance")


def test_an_unfinished_run_is_refused(project):
    rewrite(project.folders.models / "imbalance" / RUN / "run.json", status="killed")
    with pytest.raises(UserError, match=f"run {RUN} is killed, not finished"):
        project.read("imbalance")


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("metric", ["recall", "class_share/cat"])
def test_a_disagreement_names_run_metric_and_both_values(project, metric, complete):
    key = project.keys[RUN]
    filed = project.tracked[key][metric]
    project.tracked[key][metric] = 0.987654
    with pytest.raises(UserError) as error:
        project.planned("imbalance").refuse_disagreement(project.read_final, complete)
    for part in (RUN, metric, repr(filed), "0.987654"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_what_mlflow_lacks_is_refused_only_when_it_must_be_complete(project):
    del project.tracked[project.keys[RUN]]["recall"]
    planned = project.planned("imbalance")
    planned.refuse_disagreement(project.read_final, complete=False)
    with pytest.raises(UserError, match=f"{RUN}: recall is .* missing in MLflow"):
        planned.refuse_disagreement(project.read_final, complete=True)


def test_numbers_are_named_entries_as_the_tracker_does():
    values = {"fid": 1.5, "class_share": [0.4, 0.6], "warnings": ["few"], "odd": [7.0], "confusion": [[3, 1], [0, 4]]}
    assert numbers(values, ["cat", "dog"]) == {"fid": 1.5, "class_share/cat": 0.4, "class_share/dog": 0.6, "odd/0": 7.0}

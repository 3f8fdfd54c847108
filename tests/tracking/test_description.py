"""What a run's page says of it."""

import pytest

from modescope import tracking
from modescope.tracking.description import describe, place
from modescope.tracking.mlflow_store import open_store
from tracked_runs import run_info, stored_run, train_run

ORIGIN = {
    "git.commit": "c0" * 20,
    "dvc.exp": "puffy-ibex",
    "dvc.baseline": "ba" * 20,
    "changes": "ce_loss_weight=1.0",
    "profile": "demo",
}


def test_a_page_answers_by_itself():
    data = {"name": "digits-rgb", "digest": "ab" * 32, "split": "split1", "images": 1234}
    page = describe(run_info(data=data, origin=ORIGIN, weights_sha256="ff" * 32), has_difference=True)
    assert page.splitlines() == [
        "**gan-split1** of the study *imbalance*: GAN against VAE under class imbalance",
        "",
        "| | |",
        "| :-- | :-- |",
        "| row | `split1` of the table `reports/imbalance/tables/gan.md` |",
        f"| data | digits-rgb, split `split1`, 1,234 training images, digest `{'ab' * 8}…` |",
        f"| weights | `models/imbalance/gan-split1/model.safetensors`, sha256 `{'ff' * 8}…` |",
        f"| code | commit `{'c0' * 20}` with changes that were not committed (`code.diff`) |",
        "| origin | stage `imbalance@gan-split1`, profile `demo`, experiment `puffy-ibex` on `bababab` with ce_loss_weight=1.0 |",
        "| device | cpu, fp32, torch 2.13 |",
        "| sample | `modescope sample gan-split1 --grid --out gan-split1.png` |",
        "| report | `reports/imbalance/index.html` |",
    ]


def test_a_page_claims_nothing_that_is_not_known():
    page = describe(run_info(), has_difference=False)
    assert (
        not any(line.startswith(f"| {name} ") for line in page.splitlines() for name in ("weights", "code", "failed"))
        and "None" not in page
    )


@pytest.mark.parametrize(
    "run, model, study, split, expected",
    [
        ("vae-gmm-split4", "vae-gmm", "imbalance", "split4", ("vae", "split4")),
        ("real-split4", "real", "imbalance", "split4", ("gan", "real images (floor)")),
        ("stage1-seed43", "stage1", "two-stage", "balanced", ("two_stage", "stage1-seed43")),
        ("stage2-d-ff-0.5", "stage2", "two-stage", "balanced", ("two_stage", "d-ff-0.5")),
        ("hybrid", "hybrid", "two-stage", "balanced", ("hybrid", "images, hybrid")),
        ("vae-split4-s43", "vae", "imbalance", "split4", ("seeds", "vae-split4")),
        ("cgan-wgan-gp", "cgan", "cgan", "balanced", ("cgan", "cgan-wgan-gp")),
        ("stacked-wgan-gp", "stacked", "cgan", "balanced", ("stacked", "wgan-gp")),
        ("stacked-real", "real", "cgan", "balanced", ("stacked", "real images (floor)")),
        ("rgb-judge", "resnet", "classifiers", None, ("classifiers", "rgb-judge")),
        ("new-1", "new", "another", None, ("another", "new-1")),
    ],
)
def test_every_run_has_its_row(run, model, study, split, expected):
    assert place({"run": run, "model": model, "study": study, "data": {"split": split}}) == expected


def test_mlflows_own_columns_are_filled(project):
    train_run(project / "out")
    tags = stored_run().data.tags
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("imbalance@gan-split1", "LOCAL") and tags[
        "mlflow.user"
    ]
    assert "GAN against VAE" in open_store().client.get_experiment_by_name("imbalance").tags["mlflow.note.content"]


def test_what_somebody_wrote_on_a_page_and_a_name_that_he_gave_stay(project):
    train_run(project / "out")
    run = stored_run()
    open_store().client.set_tag(
        run.info.run_id, "mlflow.note.content", run.data.tags["mlflow.note.content"] + "Look at the eights."
    )
    open_store().client.update_run(run.info.run_id, name="my favourite")
    tracking.push(project / "out", {"fid_classifier": 1.0})
    assert (
        stored_run().data.tags["mlflow.note.content"].endswith("---\nLook at the eights.")
        and stored_run().info.run_name == "my favourite"
    )

"""What a run's page says of it."""

from modescope.mlflow import filing
from modescope.mlflow.run_page import describe
from modescope.mlflow.store import open_store
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
        f"| data | digits-rgb, split `split1`, 1,234 training images, digest `{'ab' * 8}…` |",
        f"| weights | `models/imbalance/gan-split1/model.safetensors`, sha256 `{'ff' * 8}…` |",
        f"| code | commit `{'c0' * 20}` with changes that were not committed (`code.diff`) |",
        "| origin | stage `imbalance@gan-split1`, profile `demo`, "
        "experiment `puffy-ibex` on `bababab` with ce_loss_weight=1.0 |",
        "| device | cpu, fp32, torch 2.13 |",
        "| sample | `modescope sample gan-split1 --grid --out gan-split1.png` |",
        "| report | `reports/imbalance/index.html#gan-split1` |",
    ]


def test_a_page_claims_nothing_that_is_not_known():
    page = describe(run_info(), has_difference=False)
    assert (
        not any(line.startswith(f"| {name} ") for line in page.splitlines() for name in ("weights", "code", "failed"))
        and "None" not in page
    )


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
    filing.push(project / "out", {"fid_classifier": 1.0})
    assert (
        stored_run().data.tags["mlflow.note.content"].endswith("---\nLook at the eights.")
        and stored_run().info.run_name == "my favourite"
    )

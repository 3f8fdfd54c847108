"""Study 3's stages on tiny data: train, measure, count modes, and refuse what cannot be."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from modescope.config import load_params, profile_values
from modescope.data.prepared import save_prepared
from modescope.data.sources import fetch
from modescope.data.splits import draw_split
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.files import read_json, write_json
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.stages import cgan, coverage, evaluate, reference, settings, stacked, stacked_real

SPLIT, JUDGE, REAL = Path("data/splits-grey/balanced.json"), Path("judge"), Path("data/reference-grey/digits")
SETTINGS = Path("data/settings/cgan")
SEEDS = {"seeds": {"more": [7], "rows": ["cgan-bce"]}}
TRAINING = {"generator_width": 4, "discriminator_width": 2, "critic_width": 2, "batch_size": 8, "generator_steps": 2}
EVALUATION = {"num_samples": 100, "prdc_samples": 100, "kid_subsets": 3, "kid_subset_size": 20, "is_splits": 2}
CURVES = {
    "eval/sample_spread",
    "train/d_loss",
    "train/d_real",
    "train/d_fake",
    "train/d_gradient_norm",
    "train/g_loss",
    "train/g_gradient_norm",
}


@pytest.fixture(scope="module", autouse=True)
def project(make_project):
    """Grey digits, an untrained judge, params for two steps."""
    params = profile_values("demo")
    params["cgan"] |= {
        "per_class_samples": 4,
        "losses": ["bce", "wgan-gp"],
        "training": params["cgan"]["training"] | TRAINING,
    }
    params["cgan"]["ours"]["cgan-ours"] |= {"generator_steps": 2, "generator_momentum": 1.0}  # images with contrast
    params["stacked"] |= {"num_images": 40, "num_samples": 60, "training": {"generator_steps": 2}}
    params["evaluation"] |= EVALUATION | {"neighbours": 2}
    make_project(params)
    for name, data in fetch("digits").items():
        save_prepared(data, Path(f"data/grey/{name}.safetensors"), name)
    train = fetch("digits")["train"]
    draw_split(train.labels, train.classes, None, 0).save(SPLIT)
    torch.manual_seed(0)
    save_weights(build_classifier("digit-cnn", [2, 4, 4, 8], 10, 1, "judge").state_dict(), JUDGE)
    of_judge = {"network": "digit-cnn", "widths": [2, 4, 4, 8], "role": "judge"}
    write_json(
        JUDGE / "run.json",
        {"run": "judge", "params": {"classifiers": {"judge": of_judge}}, "data": {"classes": list(train.classes)}},
    )


def train(row, out=None):
    out = out or Path(f"models/cgan/{row}")
    settings.main(SETTINGS.parent)
    cgan.main(SETTINGS / f"{row}.json", Path("data/grey"), SPLIT, out)
    return out


def resolved():
    """What `settings` says of every run of params.yaml."""
    settings.main(SETTINGS.parent)
    return {file.stem: read_json(file) for file in SETTINGS.iterdir()}


def test_a_row_and_a_loss_of_ones_own_change_no_other_run(change_params):
    change_params(SEEDS)
    before, study = resolved(), load_params().cgan
    ours = study.ours | {"cgan-mine": {"loss": "mine"}}
    change_params(SEEDS | {"cgan": {"ours": ours, "recipes": {"mine": study.recipes["bce"].model_dump()}}})
    after = resolved()
    assert after.pop("cgan-mine")["loss"] == "mine" and after == before
    assert before["cgan-bce-s7"] == before["cgan-bce"] | {"seed": 7} and "cgan-wgan-gp-s7" not in before


def test_a_changed_recipe_trains_its_loss_again_with_every_seed(change_params):
    change_params(SEEDS)
    before = resolved()
    change_params(SEEDS | {"cgan": {"recipes": {"bce": {"real_label": 0.8}}}})
    after = resolved()
    assert {run for run in before if before[run] != after[run]} == {"cgan-bce", "cgan-bce-s7", "dcgan-bce"}


@pytest.mark.parametrize("row", ["cgan-bce", "dcgan-bce", "cgan-wgan-gp", "cgan-ours"])
def test_a_row_is_trained_and_keeps_its_last_state(row):
    out = train(row)
    info, curves = read_json(out / "run.json"), pd.read_csv(out / "curves.csv")
    assert (info["study"], info["run"], info["steps"], info["status"]) == ("cgan", row, 2, "finished")
    assert info["params"]["generator_width"] == 4 and info["params"]["loss"] in row.replace("ours", "hinge")
    assert set(curves) == {"step"} | CURVES | ({"train/d_penalty"} if "wgan" in row else set())
    assert (out / "fixed_z" / "step-000002.png").exists() == (info["params"]["mode"] == "cgan")
    state = torch.load(out / "trained.pt", weights_only=True)
    assert state["step"] == 2 and state["hyperparameters"] == info["params"] and len(state["losses"]) == 2
    assert load_sampler(out).sample(3, seed=0).images.shape == (3, 1, 28, 28)


def test_labels_change_the_digit_and_not_the_latent_vector():
    sampler = load_sampler(train("cgan-ours"))
    eights, nines = (sampler.sample(5, seed=7, labels=torch.full((5,), label)) for label in (8, 9))
    assert eights.labels.tolist() == [8] * 5 and not torch.equal(eights.images, nines.images)
    assert torch.equal(eights.images, sampler.sample(5, seed=7, labels=torch.full((5,), 8)).images)


def test_a_row_goes_on_from_another_ones_last_state(change_params):
    change_params({"cgan": {"training": {"generator_steps": 4}}})
    whole = train("cgan-bce", Path("models/whole"))
    change_params({"cgan": {"training": {"generator_steps": 2}}})
    half = train("cgan-bce", Path("models/half"))
    change_params({"cgan": {"training": {"generator_steps": 4, "checkpoint": str(half / "trained.pt")}}})
    rest = train("cgan-bce", Path("models/rest"))
    assert (rest / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert read_json(rest / "run.json")["resumed_from_step"] == 2


@pytest.mark.parametrize(
    "row, changes, words",
    [
        ("cgan-fly", {}, "cgan-fly.json is missing"),
        ("dcgan-bce", {"checkpoint": "models/cgan/cgan-bce/trained.pt"}, "trained with mode=cgan, not dcgan"),
        ("cgan-wgan-gp", {"checkpoint": "models/cgan/cgan-bce/trained.pt"}, "trained with loss=bce, not wgan-gp"),
        ("cgan-bce", {"checkpoint": "models/cgan/cgan-bce/trained.pt"}, "has 2 steps already"),
        ("cgan-bce", {"checkpoint": "nowhere.pt"}, "nowhere.pt is no file"),
        ("cgan-bce", {"checkpoint": "params.yaml"}, "is no checkpoint of ours"),
    ],
)
def test_bad_input_leaves_nothing(row, changes, words, change_params):
    train("cgan-bce")
    change_params({"cgan": {"training": changes}})
    with pytest.raises(UserError, match=words) as refusal:
        train(row, Path("models/refused"))
    assert "\n" not in str(refusal.value) and not Path("models/refused").exists()


def test_rows_and_floor_are_measured_digit_by_digit():
    reference.main(
        "balanced", Path("data/grey"), SPLIT, JUDGE, REAL, Path("metrics/cgan/real-digits.json"), per_class=4
    )
    per_class = {"class_consistency_per_class", "pixel_std", "ms_ssim", "recall_per_class", "coverage_per_class"}
    for row in ("cgan-ours", "dcgan-bce"):
        evaluate.main(train(row), REAL, JUDGE, Path(f"metrics/cgan/{row}.json"), per_class=4)
    floor, labelled, plain = (
        read_json(f"metrics/cgan/{run}.json") for run in ("real-digits", "cgan-ours", "dcgan-bce")
    )
    assert all(len(values[name]) == 10 for values in (floor, labelled) for name in per_class)
    assert len(labelled["fixed_z_classes"]) == 8 and "fixed_z_classes" not in floor
    assert not (per_class | {"class_consistency", "fixed_z_classes"}) & plain.keys()
    info = read_json(REAL / "run.json")
    assert (info["study"], info["run"]) == ("cgan", "real-digits")


def test_modes_of_stacked_digits_are_counted():
    out = Path("models/cgan/stacked-wgan-gp")
    settings.main(SETTINGS.parent)
    stacked.main(SETTINGS / "stacked-wgan-gp.json", Path("data/grey"), SPLIT, out)
    info = read_json(out / "run.json")
    assert (info["run"], info["params"]["mode"], info["params"]["num_images"]) == ("stacked-wgan-gp", "dcgan", 40)
    assert load_sampler(out).sample(3, seed=0).images.shape == (3, 3, 28, 28)
    coverage.main(out, JUDGE, Path("metrics/cgan/stacked-wgan-gp.json"))
    stacked_real.main(
        Path("data/grey"), JUDGE, Path("data/reference-grey/stacked"), Path("metrics/cgan/stacked-real.json")
    )
    for run in ("stacked-wgan-gp", "stacked-real"):
        measured = read_json(f"metrics/cgan/{run}.json")
        assert measured["num_samples"] == 60 and 1 <= measured["modes_covered"] <= 60 and measured["kl_to_uniform"] > 0

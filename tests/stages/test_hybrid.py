"""The stage `hybrid` on tiny data."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from modescope.config import load_params, profile_values
from modescope.errors import UserError
from modescope.evaluation import normality
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.normality import draw_codes, flat
from modescope.files import read_json, write_json
from modescope.models.vae import build_vae
from modescope.stages import hybrid, imbalance

DATA, SPLIT, OUT = Path("data/rgb"), Path("data/splits/balanced.json"), Path("models/two-stage/hybrid")
VAE = Path("models/imbalance/vae-balanced")


@pytest.fixture(scope="module", autouse=True)
def project(make_project):
    """Params for two steps of training, and a trained VAE."""
    params = profile_values("demo")
    params["imbalance"]["gan"] |= {"width": 8, "batch_size": 8, "max_steps": 2}
    params["imbalance"]["vae"] |= {"latent_dim": 4, "batch_size": 16, "max_steps": 2}
    params["hybrid"] |= {"batch_size": 8, "max_steps": 2, "num_codes": 100, "permutations": 19}
    make_project(params)
    imbalance.main("vae", DATA, SPLIT, VAE)


def test_a_run_folder_holds_everything():
    hybrid.main(VAE, DATA, SPLIT, OUT)
    info = read_json(OUT / "run.json")
    assert (info["study"], info["run"], info["model"], info["status"], info["steps"]) == (
        "two-stage",
        "hybrid",
        "hybrid",
        "finished",
        2,
    )
    assert set(info["params"]) == {"seed", "threads", "precision", "deterministic", "hybrid", "imbalance"} and set(
        info["params"]["imbalance"]
    ) == {"gan", "vae"}
    assert set(flat(info["normality"])) == {
        f"{name}_{moment}"
        for name in ("ks_rejected", "ks_max", "mmd", "mmd_p")
        for moment in ("untrained", "vae", "joint")
    }
    assert len({results["mmd"] for results in info["normality"].values()}) == 3
    assert pd.read_csv(OUT / "curves.csv").filter(like="train/").notna().all(axis=None)
    assert {file.parent.name for file in OUT.glob("*/step-000002.png")} == {"samples", "reconstructions"}
    assert load_sampler(OUT).sample(3, seed=0).images.shape == (3, 3, 32, 32)
    assert load_sampler(OUT).prior.latent_dim == 4


def test_the_same_run_twice_is_the_same_to_the_bit():
    found = []
    for _ in range(2):
        hybrid.main(VAE, DATA, SPLIT, OUT)
        found.append(
            (
                (OUT / "model.safetensors").read_bytes(),
                read_json(OUT / "run.json")["normality"],
                read_json(OUT / "run.json")["key"],
            )
        )
    assert found[0] == found[1]


def test_untrained_is_where_the_stage_imbalance_started():
    torch.manual_seed(7)
    expected = build_vae(4).state_dict()
    actual = hybrid.untrained_vae(load_params().imbalance.vae, 7, torch.device("cpu")).state_dict()
    assert all(torch.equal(actual[name], value) for name, value in expected.items())


def test_codes_are_draws_of_the_posterior_in_batches_of_any_size(monkeypatch):
    torch.manual_seed(0)
    vae, images = build_vae(4), torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        vae.encoder.log_var.weight.zero_()
        vae.encoder.log_var.bias.fill_(-2 * 2.0)  # sigma = exp(-2)
        mean = vae.encoder(images / 255).embedding
    noise = torch.randn(7, 4, generator=torch.Generator().manual_seed(3))
    codes = draw_codes(vae, images, seed=3)
    assert torch.allclose(codes, mean + torch.exp(torch.tensor(-2.0)) * noise, atol=1e-6)
    monkeypatch.setattr(normality, "BATCH_SIZE", 3)
    assert torch.allclose(draw_codes(vae, images, seed=3), codes, atol=1e-6)


def test_what_is_no_vae_of_this_split_is_said(tmp_path):
    write_json(tmp_path / "run.json", {"model": "gan", "data": {"split": "balanced"}})
    with pytest.raises(
        UserError,
        match="holds a `gan`: the hybrid starts from a vae, name the folder of one, as models/imbalance/vae-balanced",
    ):
        hybrid.main(tmp_path, DATA, SPLIT, Path("models/x"))
    with pytest.raises(UserError, match="vae-balanced was trained on balanced, not on split4"):
        hybrid.main(VAE, DATA, Path("data/splits/split4.json"), Path("models/x"))
    with pytest.raises(UserError, match="none/run.json is missing"):
        hybrid.main(Path("models/none"), DATA, SPLIT, Path("models/x"))
    assert not Path("models/x").exists()


def test_too_few_images_for_the_codes_are_said_before_training(change_params):
    change_params({"hybrid": {"num_codes": 2000}})
    with pytest.raises(UserError, match="hybrid.num_codes is 2000, but there are 1438 images: lower it"):
        hybrid.main(VAE, DATA, SPLIT, Path("models/x"))
    assert not Path("models/x").exists()

"""The stages `imbalance` and `mixture` on tiny data."""

from pathlib import Path

import pandas as pd
import pytest

from modescope.config import profile_values
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.files import read_json
from modescope.stages import imbalance, mixture


@pytest.fixture(scope="module", autouse=True)
def project(make_project):
    """Params for two steps of training."""
    params = profile_values("demo")
    params["imbalance"]["gan"] |= {"width": 8, "batch_size": 8, "max_steps": 2}
    params["imbalance"]["gan-ours"] |= {"generator_width": 4, "batch_size": 8, "generator_steps": 2}
    params["imbalance"]["vae"] |= {"batch_size": 16, "max_steps": 2}
    params["imbalance"]["mixture"]["components"] = 2
    return make_project(params)


def train(model, split="split4", seed=None):
    out = Path(f"models/imbalance/{model}-{split}")
    imbalance.main(model, Path("data/rgb"), Path(f"data/splits/{split}.json"), out, seed)
    return out


@pytest.mark.parametrize("model", ["gan", "gan-ours", "vae"])
def test_a_run_folder_holds_everything(model):
    out = train(model)
    info = read_json(out / "run.json")
    assert (info["run"], info["status"], info["steps"]) == (f"{model}-split4", "finished", 2)
    assert info["data"]["name"] == "digits-rgb" and info["data"]["split"] == "split4"
    assert set(info["params"]) == {"seed", "threads", "precision", "deterministic", "imbalance"} and set(
        info["params"]["imbalance"]
    ) == {model}
    curves = pd.read_csv(out / "curves.csv")
    assert curves["step"].tolist() == [1, 2] and curves.filter(like="train/").notna().all(axis=None)
    assert (out / "samples" / "step-000002.png").exists()
    assert not (out / "checkpoint.pt").exists() and not list(Path(".ckpt").glob("*/checkpoint.pt"))
    assert load_sampler(out).sample(3, seed=0).images.shape == (3, 3, 32, 32)


def test_the_same_run_twice_is_the_same_to_the_bit():
    first = (train("gan") / "model.safetensors").read_bytes()
    key = read_json(Path("models/imbalance/gan-split4/run.json"))["key"]
    assert (train("gan") / "model.safetensors").read_bytes() == first
    assert read_json(Path("models/imbalance/gan-split4/run.json"))["key"] == key


def test_another_seed_is_another_run():
    first = (train("gan") / "model.safetensors").read_bytes()
    other = train("gan", seed=43)
    info = read_json(other / "run.json")
    assert (info["run"], info["params"]["seed"]) == ("gan-split4-s43", 43)
    assert (other / "model.safetensors").read_bytes() != first


def test_the_mixture_is_a_run_of_its_own():
    vae, out = train("vae"), Path("models/imbalance/vae-gmm-split4")
    mixture.main(vae, Path("data/rgb"), Path("data/splits/split4.json"), out)
    info = read_json(out / "run.json")
    assert (info["run"], info["model"]) == ("vae-gmm-split4", "vae-gmm")
    assert info["params"]["imbalance"]["mixture"] == {"components": 2}
    assert load_sampler(out).sample(3, seed=0).images.shape == (3, 3, 32, 32)


def test_bad_input_leaves_nothing(change_params):
    with pytest.raises(UserError, match="splits/none.json is missing"):
        imbalance.main("gan", Path("data/rgb"), Path("data/splits/none.json"), Path("models/x"))
    change_params({"imbalance": {"gan": {"loss": "hingee"}}})
    with pytest.raises(UserError, match="unknown loss `hingee`: there are bce"):
        imbalance.main("gan", Path("data/rgb"), Path("data/splits/split4.json"), Path("models/x"))
    assert not Path("models/x").exists()

"""Samplers: a seed decides everything, weights survive the file, the mixture is pythae's."""

import pytest
import torch
from safetensors.torch import save_file

from modescope.config import parse_params, profile_values
from modescope.errors import UserError
from modescope.evaluation import samplers
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.vae_samplers import VaeSampler, fit_mixture, mixture_weights
from modescope.files import write_json
from modescope.models.upsampling_gan import build_generator
from modescope.models.vae import build_vae

PARAMS = parse_params(profile_values("demo"), "demo")
RUN_PARAMS = PARAMS.subset("imbalance.gan", "imbalance.vae")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of an untrained GAN, VAE and VAE with a mixture, and the images that the mixture was fitted to."""
    torch.manual_seed(0)
    base = tmp_path_factory.mktemp("runs")
    generator, vae = build_generator(PARAMS.imbalance.gan, channels=3), build_vae(16)
    images = torch.rand(60, 3, 32, 32)
    images[0, 0, 0, 0] = 1.0
    mixture = fit_mixture(vae, images, components=3, seed=1)
    weights = {
        "gan": {f"generator.{name}": value for name, value in generator.state_dict().items()},
        "vae": vae.state_dict(),
        "vae-gmm": {**vae.state_dict(), **mixture_weights(mixture)},
    }
    for model, tensors in weights.items():
        folder = base / model
        write_json(folder / "run.json", {"model": model, "params": RUN_PARAMS})
        save_file(tensors, folder / "model.safetensors")
    return base, vae, images


@pytest.mark.parametrize("model", ["gan", "vae", "vae-gmm"])
def test_the_seed_decides_the_samples(runs, model):
    sampler = load_sampler(runs[0] / model)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = (sampler.sample(7, seed).images for seed in (3, 3, 4))
    assert first.shape == (7, 3, 32, 32) and first.dtype == torch.uint8
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("count", [19, 20, 41])
def test_generators_are_sampled_in_batches_of_any_size(runs, monkeypatch, count):
    sampler = load_sampler(runs[0] / "gan")
    whole = sampler.sample(count, 0).images
    monkeypatch.setattr(samplers, "BATCH_SIZE", 20)
    assert len(whole) == count
    assert (sampler.sample(count, 0).images.int() - whole.int()).abs().max() <= 1  # rounding of another batch size


def test_the_fitted_mixture_samples_as_the_loaded_one(runs):
    base, vae, images = runs
    fresh = VaeSampler(fit_mixture(vae, images, components=3, seed=1))
    assert torch.equal(fresh.sample(20, 9).images, load_sampler(base / "vae-gmm").sample(20, 9).images)


def test_mixture_samples_differ_between_batches(runs, monkeypatch):
    monkeypatch.setattr(samplers, "BATCH_SIZE", 10)
    images = load_sampler(runs[0] / "vae-gmm").sample(20, 0).images
    assert not torch.equal(images[:10], images[10:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"model": "airbench96", "params": {}},
            "which cannot be sampled: choose one of gan, gan-ours, stage1, stage2, hybrid, cgan, stacked, vae, vae-gmm",
        ),
        ({"model": "gan", "params": {}}, "model.safetensors is missing"),
        ({"model": "gan"}, "it has no `params` of type dict"),
        ({"model": 3, "params": {}}, "it has no `model` of type str"),
    ],
)
def test_what_cannot_be_sampled_is_said(tmp_path, content, message):
    write_json(tmp_path / "run.json", content)
    with pytest.raises(UserError, match=message):
        load_sampler(tmp_path)


@pytest.mark.parametrize(
    ("model", "params", "tensors"),
    [
        ("gan", RUN_PARAMS, {"generator.layers.0.weight": torch.zeros(3)}),
        ("gan", {}, {}),
        ("gan", {"imbalance": {"gan": {"width": "wide"}}}, {}),
        ("vae", RUN_PARAMS, {"weight": torch.zeros(3)}),
        ("cgan", {"mode": "cgan"}, {"prior.num_classes": torch.zeros(3)}),
    ],
)
def test_files_that_do_not_belong_together_are_refused_in_one_line(tmp_path, model, params, tensors):
    write_json(tmp_path / "run.json", {"model": model, "params": params})
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="model.safetensors does not fit run.json .*: delete the folder and") as error:
        load_sampler(tmp_path)
    assert "\n" not in str(error.value)


def test_weights_of_another_run_are_never_sampled(runs, tmp_path):
    base = runs[0]
    write_json(tmp_path / "run.json", {"model": "gan", "params": RUN_PARAMS, "weights_sha256": "0" * 64})
    (tmp_path / "model.safetensors").write_bytes((base / "gan" / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="is not the file that .*run.json names"):
        load_sampler(tmp_path)

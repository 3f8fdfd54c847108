"""Folders of trained runs with small untrained generators, as their stages write them."""

from pathlib import Path

import torch

import small_cgans
import small_gans
from modescope.config import parse_params, profile_values
from modescope.evaluation.loaders import GENERATORS
from modescope.files import sha256, write_json
from modescope.models.weights import save_weights
from modescope.training.priors import NormalPrior, mixture_prior

DEMO = parse_params(profile_values("demo"), "demo")
CLASSES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
MIXTURE = mixture_prior("orthogonal", 10, 10, seed=0)
GAN = DEMO.subset("imbalance.gan", "imbalance.gan-ours")
GAN["imbalance"]["gan"]["width"], GAN["imbalance"]["gan-ours"]["generator_width"] = 8, 8
KINDS = {  # run -> study, model, parameters, prior
    "cgan-ours": ("cgan", "cgan", small_cgans.config(generator_labels="concat").model_dump(), NormalPrior(6, 10)),
    "dcgan-bce": ("cgan", "cgan", small_cgans.config(mode="dcgan").model_dump(), NormalPrior(6)),
    "gan-split1": ("imbalance", "gan", GAN, NormalPrior(GAN["imbalance"]["gan"]["latent_dim"])),
    "gan-ours-split1": ("imbalance", "gan-ours", GAN, NormalPrior(GAN["imbalance"]["gan-ours"]["latent_dim"], 10)),
    "stage1": ("two-stage", "stage1", small_gans.config("A", network="residual").model_dump(), MIXTURE),
    "stage2-b-ff": ("two-stage", "stage2", small_gans.config("B").model_dump(), MIXTURE),
    "stage2-d-conv": ("two-stage", "stage2", small_gans.config("D-conv").model_dump(), MIXTURE),
}


def write_run(run: str, models: Path = Path("models")) -> Path:
    """Write the folder of one of KINDS to `models`; weights are large enough for images of many colours."""
    study, model, params, prior = KINDS[run]
    torch.manual_seed(0)
    generator = GENERATORS[model](params, prior.num_classes)
    for matrix in (weight for weight in generator.parameters() if weight.ndim > 1):
        torch.nn.init.xavier_normal_(matrix, gain=1.5)
    for layer in generator.modules():
        if hasattr(layer, "running_var"):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 1.5)
    tensors = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    tensors |= {f"prior.{name}": value for name, value in prior.state().items()}
    folder = models / study / run
    save_weights(tensors | {"discriminator.weight": torch.ones(50, 50)}, folder)
    info = {
        "key": "00000000000000aa",
        "study": study,
        "run": run,
        "stage": study,
        "model": model,
        "params": params,
        "data": {"name": "digits", "classes": CLASSES, "split": "split1", "images": 60, "digest": "ab" * 32},
        "status": "finished",
        "device": "cpu",
        "precision": "fp32",
        "weights_sha256": sha256(folder / "model.safetensors"),
        "origin": {"profile": "demo", "git.commit": "3ebe982da80f52c6"},
        "steps": 6000,
        "seconds": 68.1,
    }
    write_json(folder / "run.json", info)
    return folder

"""Small untrained generators of every kind that a page can run."""

from pathlib import Path

import torch

import small_cgans
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.samplers import GeneratorSampler
from modescope.models.cgan import build_cgan_generator
from modescope.training.priors import NormalPrior
from small_runs import CLASSES, write_run

RUNS = ("cgan-ours", "dcgan-bce", "gan-split1", "gan-ours-split1", "stage1", "stage2-b-ff")
KINDS = (*RUNS, "multiply")


def info(name: str, classes=CLASSES) -> dict:
    """A run.json."""
    record = {"run": name, "key": "00000000000000aa", "study": "cgan", "origin": {"profile": "demo"}}
    return record | {"data": {"name": "digits", "classes": list(classes)}}


@torch.no_grad()
def of_one_size(sampler: GeneratorSampler) -> GeneratorSampler:
    """With weights of one size in every layer, which int8 holds exactly."""
    for layer in sampler.generator.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            layer.weight.copy_(layer.weight.sign() * layer.weight.std())
    return sampler


def small_sampler(kind: str, models: Path) -> GeneratorSampler:
    """A sampler of one of KINDS; its run's folder, if it has one, is written to `models`."""
    if kind in RUNS:
        return of_one_size(load_sampler(write_run(kind, models)))
    torch.manual_seed(0)
    generator = build_cgan_generator(small_cgans.config(), 1, 10)
    for weight in (each for each in generator.parameters() if each.ndim > 1):
        torch.nn.init.xavier_normal_(weight, gain=1.5)
    return of_one_size(GeneratorSampler(generator, NormalPrior(generator.latent_dim, 10), conditional=True))

"""What the published BatchNorm momentum costs: a trained GAN, sampled with its own running statistics and with their
mean over 500 batches.

The momentum changes nothing but the running statistics (training normalises by the batch), so no training is needed to
show its effect.

    python benchmarks/batchnorm_momentum.py gan-split4
"""

import sys
from pathlib import Path

import torch
from torch import nn

from modescope.config import load_params
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.reference import load_reference
from modescope.files import read_json

BATCHES = 500


@torch.no_grad()
def standing_statistics(generator: nn.Module, prior, batch_size: int) -> None:
    """Replace the running statistics by their mean over many batches."""
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    generator.train()
    random = torch.Generator().manual_seed(0)
    for _ in range(BATCHES):
        generator(prior.sample(batch_size, torch.device("cpu"), random).z)
    generator.eval()


def main(run: str) -> None:
    params = load_params()
    folder = Path("models/imbalance") / run
    extractors = load_extractors(["judge"], Path("models/classifiers/rgb-judge"), "cpu")
    reference = load_reference(Path("data/reference") / read_json(folder / "run.json")["data"]["split"], extractors)
    sampler = load_sampler(folder)
    for name in ("published momentum", "standing statistics"):
        images = sampler.sample(params.evaluation.num_samples, params.evaluation.seed).images
        scores = evaluate_images(images, reference, extractors, params.evaluation)
        shown = ("fid_classifier", "kid_classifier_mean", "precision", "recall", "coverage", "class_share_tv")
        print(f"{run}, {name}: " + ", ".join(f"{key} {scores[key]:.4f}" for key in shown))
        standing_statistics(sampler.generator, sampler.prior, params.imbalance.gan.batch_size)


if __name__ == "__main__":
    main(sys.argv[1])

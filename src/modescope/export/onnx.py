"""A trained generator as one ONNX file, which needs neither Modescope nor torch."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from modescope.errors import UserError
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.models.layers import UpsampleConv2d
from modescope.training.priors import MixturePrior

OPSET = 17
BATCH = "n"  # the name of the first dimension


class Drawing(nn.Module):
    """What stands in the file: from normal noise, and a label where the run has labels, to an image.

    A mixture's components are in it, so that z is N(0, I) whatever the run's prior is.
    """

    def __init__(self, sampler: GeneratorSampler):
        super().__init__()
        self.generator, self.conditional = plain(sampler.generator), sampler.conditional
        self.num_classes, self.latent_dim = sampler.num_classes, sampler.generator.latent_dim
        is_mixture = isinstance(sampler.prior, MixturePrior)
        self.means, self.std = (sampler.prior.means, sampler.prior.variance**0.5) if is_mixture else (None, None)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z: (N, D) float32 of N(0, I); labels: (N,) int64 where there are any -> (N, C, H, W) float32 in [-1, 1]."""
        if self.means is not None:
            z = self.means[labels] + self.std * z
        return self.generator(z, labels) if self.conditional else self.generator(z)

    def inputs(self, count: int, seed: int = 0) -> dict[str, Tensor]:
        """Noise by `seed`, and the labels in turn."""
        given = {"z": torch.randn(count, self.latent_dim, generator=torch.Generator().manual_seed(seed))}
        return given if self.num_classes is None else given | {"labels": torch.arange(count) % self.num_classes}


def plain(generator: nn.Module) -> nn.Module:
    """A copy on the CPU whose `UpsampleConv2d` are the two layers that they compute: ONNX has no strided views."""
    copied = deepcopy(generator).cpu().eval()
    for parent in list(copied.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, UpsampleConv2d):
                convolution = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
                convolution.load_state_dict(layer.state_dict())
                setattr(parent, name, nn.Sequential(nn.Upsample(scale_factor=2), convolution))
    return copied.eval()


def drawing_of(sampler: Sampler, run: str) -> Drawing:
    """Raises UserError for a run that has no generator (a VAE)."""
    if not isinstance(sampler, GeneratorSampler):
        raise UserError(f"{run} is a VAE, which ONNX files are not made of: name a GAN, or take --to safetensors")
    return Drawing(sampler)


def write_onnx(drawing: Drawing, path: Path, facts: Mapping[str, str]) -> None:
    """Write `path` for any batch size, with `facts` as its metadata.

    torch's exporter of 2025 takes 6 s and three more packages for the graph that its older one makes in 0.3 s.
    """
    given = drawing.inputs(2)
    names = [*given, "images"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks of shapes, which are constant
        torch.onnx.export(
            drawing,
            tuple(given.values()),
            str(path),
            dynamo=False,
            input_names=names[:-1],
            output_names=names[-1:],
            dynamic_axes={name: {0: BATCH} for name in names},
            opset_version=OPSET,
        )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)

"""A trained generator as one ONNX file, which needs neither Modescope nor torch."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from modescope.errors import UserError
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.models.layers import UpsampleConv2d
from modescope.training.priors import MixturePrior

ONNX_FILE = "generator.onnx"
FACTS = ("study", "run", "key", "weights_sha256")  # of run.json, in the file's metadata
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
        self.prior, is_mixture = sampler.prior, isinstance(sampler.prior, MixturePrior)
        self.means, self.std = (sampler.prior.means, sampler.prior.variance**0.5) if is_mixture else (None, None)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z: (N, D) float32 of N(0, I); labels: (N,) int64 where there are any -> (N, C, H, W) float32 in [-1, 1]."""
        if self.means is not None:
            z = self.means[labels] + self.std * z
        return self.generator(z, labels) if self.conditional else self.generator(z)

    def inputs(self, count: int, seed: int) -> dict[str, Tensor]:
        """Noise, and labels where there are any, of the images that the run's sampler draws with `seed`."""
        drawn = self.prior.sample(count, torch.device("cpu"), torch.Generator().manual_seed(seed))
        z = drawn.z if self.means is None else (drawn.z - self.means[drawn.labels]) / self.std
        return {"z": z} if drawn.labels is None else {"z": z, "labels": drawn.labels}


def plain(generator: nn.Module) -> nn.Module:
    """A copy on the CPU of layers that inference knows.

    `UpsampleConv2d` are the two layers that they compute: ONNX has no strided views. A norm behind PixelShuffle is in
    the weights of the convolution before it, as exporters do without PixelShuffle between them.
    """
    copied = deepcopy(generator).cpu().eval()
    for parent in list(copied.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, UpsampleConv2d):
                convolution = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
                convolution.load_state_dict(layer.state_dict())
                setattr(parent, name, nn.Sequential(nn.Upsample(scale_factor=2), convolution))
    for layers in copied.modules():
        if isinstance(layers, nn.Sequential):
            _fold(layers)
    return copied.eval()


def _fold(layers: nn.Sequential) -> None:
    """Make of every [convolution, PixelShuffle, BatchNorm, ReLU] an equal [convolution, ReLU, PixelShuffle]."""
    for at in range(len(layers) - 3):
        conv, shuffle, norm, relu = list(layers)[at : at + 4]
        if isinstance(shuffle, nn.PixelShuffle) and isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.ReLU):
            mean, var, gain, shift = (
                each.repeat_interleave(shuffle.upscale_factor**2)
                for each in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
            )
            conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, mean, var, norm.eps, gain, shift)
            layers[at + 1], layers[at + 2], layers[at + 3] = relu, shuffle, nn.Identity()


def drawing_of(sampler: Sampler, run: str) -> Drawing:
    """Raises UserError for a run that has no generator (a VAE)."""
    if not isinstance(sampler, GeneratorSampler):
        raise UserError(f"{run} is a VAE, which ONNX files are not made of: name a GAN, or take --to safetensors")
    return Drawing(sampler)


def write_onnx(drawing: Drawing, path: Path, info: Mapping[str, Any]) -> None:
    """Write `path` for any batch size; its metadata has the `FACTS` of run.json's content `info`.

    torch's exporter of 2025 takes 6 s and three more packages for the graph that its older one makes in 0.3 s.
    """
    import onnx  # comes with an extra

    given = drawing.inputs(2, seed=0)
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
    onnx.helper.set_model_props(model, {name: str(info[name]) for name in FACTS if name in info})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)

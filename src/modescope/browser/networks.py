"""Networks for a browser: a list of what their layers do, and their weights as int8, every row with a scale of its own.

The page's script (network.js.j2) reads numbers and weights in the order in which they are appended here.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modescope.errors import UserError
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.models.adapters import AdaptedGenerator
from modescope.models.cgan import CganGenerator
from modescope.models.dcgan import DCGANGenerator
from modescope.models.layers import UpsampleConv2d
from modescope.models.residual_gan import ConditionalBatchNorm2d, ResidualGenerator, UpBlock
from modescope.models.upsampling_gan import UpsamplingGenerator
from modescope.training.priors import MixturePrior

Step = dict[str, Any]
LEVELS = 127  # of an int8 weight, on either side of 0
# PHASES[p, t, k] = 1 where row k of a 4x4 kernel of stride 2, padding 1, takes what row i - 1 + t of the small image
# adds to row 2i + p of the large one.
PHASES = torch.tensor([[[0.0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]]])


@dataclass
class Packed:
    """What networks are made of: float32 `numbers` (scales, biases) and int8 `weights`, each in order of use."""

    numbers: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    def generator(self, sampler: Sampler, run: str) -> list[Step]:
        """Append the generator of a run and return what its layers do, from normal noise and a label to an image.

        Raises UserError for a run that is no generator, or a layer that the page's script does not know.
        """
        if not isinstance(sampler, GeneratorSampler):
            raise UserError(f"no page can run {run}, which has no generator: name a GAN's run")
        generator, prior, steps = sampler.generator, sampler.prior, []
        if isinstance(prior, MixturePrior):
            steps = [self.affine(torch.full_like(prior.means, math.sqrt(prior.variance)), prior.means)]
        elif isinstance(generator, CganGenerator) and generator.num_classes is not None:
            codes = generator.embedding.weight
            multiplied = generator.labels == "multiply"
            steps = [self.affine(codes, torch.zeros_like(codes)) if multiplied else self._beside(codes)]
        return [*steps, *self.add([generator])]

    def add(self, layers: Iterable[nn.Module], levels: int = LEVELS) -> list[Step]:
        """Append what `layers` hold and return what they do; of weights there are `levels` on either side of 0.

        Raises UserError for a layer that the page's script does not know.
        """
        return [step for layer in layers for step in self._steps(layer, levels)]

    def affine(self, scale: Tensor, bias: Tensor) -> Step:
        """A scale and a bias for each channel, (C,) both, or for each label and channel, (K, C)."""
        self.numbers += [scale, bias]
        return {"does": "affine", "labels": scale.numel() // scale.shape[-1], "channels": scale.shape[-1]}

    def bytes(self) -> bytes:
        """All numbers, little-endian, then all weights."""
        numbers = torch.cat([part.detach().float().flatten() for part in self.numbers]).numpy()
        weights = torch.cat([part.flatten() for part in self.weights]).numpy()
        return numbers.astype("<f4").tobytes() + weights.astype(np.int8).tobytes()

    def _beside(self, codes: Tensor) -> Step:
        """A label's row of `codes` (K, D) behind z."""
        self.numbers.append(codes)
        return {"does": "concat", "labels": codes.shape[0], "channels": codes.shape[1]}

    def _steps(self, layer: nn.Module, levels: int) -> list[Step]:
        """Of a whole network or a part of one."""
        match layer:
            case nn.Dropout() | nn.Identity():
                return []
            case nn.Sequential():
                return self.add(layer, levels)
            case CganGenerator() | UpsamplingGenerator() | DCGANGenerator():
                return self.add(layer.layers, levels)
            case AdaptedGenerator():
                return self.add([layer.before, layer.generator, layer.after], levels)
            case ResidualGenerator():
                maps = nn.Unflatten(1, (layer.norm.num_features, 4, 4))
                rest = [maps, *layer.blocks, layer.norm, nn.ReLU(), layer.last, nn.Tanh()]
                return [self._channels_first(layer.first, levels), *self.add(rest, levels)]
            case UpBlock():
                norms, relu = layer.norms, nn.ReLU()
                ways = [norms[0], relu, layer.up, norms[1], relu, layer.conv], [layer.shortcut, nn.Upsample(None, 2)]
                return [{"does": "sum", "ways": [self.add(way, levels) for way in ways]}]
            case UpsampleConv2d():
                return [{"does": "upsample"}, self._product("convolve", layer.weight, layer.bias, levels)]
            case nn.ConvTranspose2d(kernel_size=(1, 1), stride=(1, 1), padding=(0, 0)):
                return [self._product("linear", layer.weight.transpose(0, 1), layer.bias, levels)]
            case nn.ConvTranspose2d(kernel_size=(4, 4), stride=(2, 2), padding=(1, 1)):
                return [self._product("convolve", *as_convolution(layer), levels), {"does": "shuffle"}]
        return [self._step(layer, levels)]

    def _step(self, layer: nn.Module, levels: int) -> Step:
        match layer:
            case nn.Linear() | nn.Conv2d(kernel_size=(1, 1), stride=(1, 1), padding=(0, 0), groups=1):
                return self._product("linear", layer.weight, layer.bias, levels)
            case nn.Conv2d(kernel_size=(3, 3), padding=(1, 1), stride=(1, 1), dilation=(1, 1), groups=1):
                return self._product("convolve", layer.weight, layer.bias, levels)
            case nn.BatchNorm2d():
                of_label = isinstance(layer, ConditionalBatchNorm2d) and layer.gain is not None
                gain, shift = (layer.gain.weight, layer.shift.weight) if of_label else (layer.weight, layer.bias)
                scale = gain / (layer.running_var + layer.eps).sqrt()
                return self.affine(scale, shift - scale * layer.running_mean)
            case nn.MaxPool2d(kernel_size=2, stride=2):
                return {"does": "pool"}
            case nn.PixelShuffle(upscale_factor=2):
                return {"does": "shuffle"}
            case nn.Upsample(scale_factor=2, mode="nearest"):
                return {"does": "upsample"}
            case nn.Unflatten():
                return {"does": "reshape", "channels": layer.unflattened_size[0], "side": layer.unflattened_size[1]}
            case nn.Flatten():
                return {"does": "flatten"}
            case nn.ReLU():
                return {"does": "relu"}
            case nn.Tanh():
                return {"does": "tanh"}
        raise UserError(
            f"no page can run {layer}: for the game name a generator and a judge of study 3, in inside.explore a run "
            "without a convolutional adapter"
        )

    def _channels_first(self, layer: nn.Linear, levels: int) -> Step:
        """A layer whose units are pixel by pixel, made channel by channel."""
        units = torch.arange(layer.out_features).view(16, -1).T.flatten()
        return self._product("linear", layer.weight[units], layer.bias[units], levels)

    def _product(self, does: str, weight: Tensor, bias: Tensor | None, levels: int) -> Step:
        rows, scale = quantise(weight.detach(), levels)
        self.weights.append(rows)
        self.numbers += [scale, torch.zeros(len(rows)) if bias is None else bias]
        return {"does": does, "rows": rows.shape[0], "depth": rows.shape[1]}


def as_convolution(layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Kernels (4 * out, in, 3, 3) and biases of the 3x3 convolution that, its pixels shuffled, is the transposed one.

    `layer` has a kernel of 4x4, stride 2 and padding 1.
    """
    kernels = torch.einsum("ioyx,pty,qsx->opqits", layer.weight, PHASES, PHASES)
    return kernels.flatten(0, 2), layer.bias.repeat_interleave(4)


def quantise(weight: Tensor, levels: int = LEVELS) -> tuple[Tensor, Tensor]:
    """(R, ...) float -> (R, ...) int8, flat behind R, and the scale (R,) of every row: weight is about int8 * scale.

    An entry is off by half a scale at most, the row's largest by nothing.
    """
    rows = weight.flatten(1)
    scale = rows.abs().amax(1) / levels
    scale = torch.where(scale > 0, scale, 1.0)
    return (rows / scale[:, None]).round().to(torch.int8), scale

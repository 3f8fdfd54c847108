"""Networks for a browser: a list of what their layers do, and their weights as int8, every row with a scale of its own.

The page's script (network.js.j2) reads numbers and weights in the order in which they are appended here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modescope.errors import UserError

Step = dict[str, Any]
LEVELS = 127  # of an int8 weight, on either side of 0


@dataclass
class Packed:
    """What networks are made of: float32 `numbers` (scales, biases) and int8 `weights`, each in order of use."""

    numbers: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    def add(self, layers: Sequence[nn.Module], levels: int = LEVELS) -> list[Step]:
        """Append what `layers` hold and return what they do; of weights there are `levels` on either side of 0.

        Raises UserError for a layer that the page's script does not know.
        """
        steps = (self._step(layer, levels) for layer in layers if not isinstance(layer, nn.Dropout))
        return [step for step in steps if step]

    def affine(self, scale: Tensor, bias: Tensor) -> Step:
        """A scale and a bias for each channel, (C,) both."""
        self.numbers += [scale, bias]
        return {"does": "affine", "channels": len(scale)}

    def bytes(self) -> bytes:
        """All numbers, little-endian, then all weights."""
        numbers = torch.cat([part.detach().float().flatten() for part in self.numbers]).numpy()
        weights = torch.cat([part.flatten() for part in self.weights]).numpy()
        return numbers.astype("<f4").tobytes() + weights.astype(np.int8).tobytes()

    def _step(self, layer: nn.Module, levels: int) -> Step | None:
        match layer:
            case nn.Linear():
                return self._product("linear", layer, levels)
            case nn.Conv2d(kernel_size=(3, 3), padding=(1, 1), stride=(1, 1), dilation=(1, 1), groups=1):
                return self._product("convolve", layer, levels)
            case nn.BatchNorm2d():
                scale = layer.weight / (layer.running_var + layer.eps).sqrt()
                return self.affine(scale, layer.bias - scale * layer.running_mean)
            case nn.MaxPool2d(kernel_size=2, stride=2):
                return {"does": "pool"}
            case nn.PixelShuffle(upscale_factor=2):
                return {"does": "shuffle"}
            case nn.Unflatten():
                return {"does": "reshape", "channels": layer.unflattened_size[0], "side": layer.unflattened_size[1]}
            case nn.Flatten():
                return {"does": "flatten"}
            case nn.ReLU():
                return {"does": "relu"}
            case nn.Tanh():
                return {"does": "tanh"}
        raise UserError(f"the game's page has no {layer}: name a generator and a judge of study 3")

    def _product(self, does: str, layer: nn.Linear | nn.Conv2d, levels: int) -> Step:
        rows, scale = quantise(layer.weight.detach(), levels)
        self.weights.append(rows)
        self.numbers += [scale, torch.zeros(len(rows)) if layer.bias is None else layer.bias]
        return {"does": does, "rows": rows.shape[0], "depth": rows.shape[1]}


def quantise(weight: Tensor, levels: int = LEVELS) -> tuple[Tensor, Tensor]:
    """(R, ...) float -> (R, ...) int8, flat behind R, and the scale (R,) of every row: weight is about int8 * scale.

    An entry is off by half a scale at most, the row's largest by nothing.
    """
    rows = weight.flatten(1)
    scale = rows.abs().amax(1) / levels
    scale = torch.where(scale > 0, scale, 1.0)
    return (rows / scale[:, None]).round().to(torch.int8), scale

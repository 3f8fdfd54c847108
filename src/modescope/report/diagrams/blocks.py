"""What a network consists of, read off the torch module: the boxes of a diagram, in the order in which they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from modescope.models.layers import UpsampleConv2d

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
INVISIBLE = (nn.Identity, nn.Sequential)  # leaves that do nothing; a Sequential is one when it is empty


@dataclass(frozen=True)
class Block:
    """One box: a layer with weights and the normalisation, activation and reshaping around it, in order of call.

    Args:
        shape: of its output, without the batch.
        parameters: of its layers; one shared with an earlier box counts there.
        trainable: how many of them require a gradient.
        part: name of the module's child that it belongs to; empty where the children are the layers themselves.
    """

    steps: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    trainable: int
    part: str

    @property
    def text(self) -> str:
        """All its steps in one line."""
        return " · ".join(self.steps)

    @property
    def weights(self) -> str:
        """The number of parameters; nothing for none."""
        return count(self.parameters) if self.parameters else ""


class _Call(NamedTuple):
    layer: nn.Module
    name: str
    shape: tuple[int, ...]


def trace(module: nn.Module, example: Tensor) -> list[Block]:
    """The boxes of a network in order of call. It runs once, in eval mode; its modes are restored.

    Args:
        example: a batch (N, ...) that the module takes.

    Raises ValueError where a layer does not take what the layer before it gave: no chain of boxes would then tell the
        truth.
    """
    calls: list[_Call] = []
    seen = example

    def before(name: str, inputs: tuple[Tensor, ...]) -> None:
        if not _same_values(inputs[0], seen):
            raise ValueError(
                f"{name or type(module).__name__} does not take what the layer before it gave: the network is no chain of layers"
            )

    def after(name: str, layer: nn.Module, output: Tensor) -> None:
        nonlocal seen
        seen = output
        calls.append(_Call(layer, name, tuple(output.shape[1:])))

    modes = [(part, part.training) for part in module.modules()]
    hooks = []
    for name, layer in module.named_modules():
        if next(layer.children(), None) is None:
            hooks.append(layer.register_forward_pre_hook(lambda layer, inputs, name=name: before(name, inputs)))
            hooks.append(
                layer.register_forward_hook(lambda layer, inputs, output, name=name: after(name, layer, output))
            )
    try:
        with torch.no_grad():
            result = module.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
        for part, mode in modes:
            part.training = mode
    if not _same_values(result, seen):
        raise ValueError(
            f"{type(module).__name__} does not return what its last layer gave: the network is no chain of layers"
        )
    return _blocks(calls, flat=isinstance(module, nn.Sequential))


def _same_values(one: Tensor, other: Tensor) -> bool:
    """Whether one is the other, up to its shape and place in memory."""
    return one.numel() == other.numel() and torch.equal(one.flatten(), other.flatten())


def _blocks(calls: Sequence[_Call], flat: bool) -> list[Block]:
    """A layer with weights opens a box; what follows joins it. Flatten goes with the layer after it, if the part has
    one.
    """
    calls = [call for call in calls if not isinstance(call.layer, INVISIBLE)]
    parts = ["" if flat else call.name.split(".")[0] for call in calls]
    groups: list[tuple[str, list[_Call]]] = []
    for index, (call, part) in enumerate(zip(calls, parts, strict=True)):
        inside = bool(groups) and groups[-1][0] == part
        if isinstance(call.layer, nn.Flatten):
            joins = parts[index + 1 : index + 2] != [part]
        elif any(True for _ in call.layer.parameters()) and not isinstance(call.layer, NORMS):
            joins = inside and all(isinstance(other.layer, nn.Flatten) for other in groups[-1][1])
        else:
            joins = True
        if inside and joins:
            groups[-1][1].append(call)
        else:
            groups.append((part, [call]))
    counted: set[nn.Parameter] = set()
    return [_block(part, group, counted) for part, group in groups]


def _block(part: str, calls: Sequence[_Call], counted: set[nn.Parameter]) -> Block:
    own = {parameter for call in calls for parameter in call.layer.parameters()} - counted
    counted |= own
    trainable = sum(parameter.numel() for parameter in own if parameter.requires_grad)
    steps = tuple(_step(call.layer) for call in calls)
    return Block(steps, calls[-1].shape, sum(parameter.numel() for parameter in own), trainable, part)


def _step(layer: nn.Module) -> str:
    """A layer's name and settings. Subclasses of torch's layers are named by the function that they stand for."""
    match layer:
        case UpsampleConv2d():
            return f"Nearest ×2, {_convolution(layer)}"
        case nn.modules.conv._ConvNd():
            return _convolution(layer)
        case nn.Linear():
            return f"Linear {layer.in_features}→{layer.out_features}"
        case nn.modules.batchnorm._BatchNorm():
            return "BN"
        case nn.LeakyReLU():
            return f"LReLU {layer.negative_slope:g}"
        case nn.Dropout():
            return f"Dropout {layer.p:g}"
        case nn.PixelShuffle():
            return f"PixelShuffle {layer.upscale_factor}"
        case nn.Unflatten():
            return "Reshape"
    return type(layer).__name__


def _convolution(layer: nn.modules.conv._ConvNd) -> str:
    """Channels, kernel, and where they are not the usual ones stride and padding: `Conv 3→64 k4 s2 p1`."""
    settings = [f"{'ConvT' if layer.transposed else 'Conv'} {layer.in_channels}→{layer.out_channels}"]
    for letter, value, usual in (("k", layer.kernel_size, ""), ("s", layer.stride, "1"), ("p", layer.padding, "0")):
        size = value if isinstance(value, str) else "×".join(map(str, set(value) if len(set(value)) == 1 else value))
        settings += [letter + size] if size != usual else []
    return " ".join(settings)


def count(parameters: int) -> str:
    """Three digits and a unit: 195, 1.92 k, 3.58 M."""
    for unit, name in ((10**6, " M"), (10**3, " k")):
        if parameters >= 0.9995 * unit:
            return f"{parameters / unit:.3g}{name}"
    return str(parameters)

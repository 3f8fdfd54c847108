"""What a network consists of, read off the torch module: the boxes of a diagram, in the order in which they run."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from modescope.models.layers import UpsampleConv2d

# torch has no public name for all its batch norms, or for all its convolutions.
BATCH_NORMS, CONVOLUTIONS = nn.modules.batchnorm._BatchNorm, nn.modules.conv._ConvNd
NORMS = (BATCH_NORMS, nn.GroupNorm, nn.LayerNorm)
INVISIBLE = (nn.Identity, nn.Sequential)  # leaves that do nothing; a Sequential is one when it is empty
Call = tuple[str, nn.Module, tuple[int, ...]]  # a layer's name, the layer, the shape of its output


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


def trace(module: nn.Module, example: Tensor) -> list[Block]:
    """The boxes of a network in order of call, as a copy of it runs on a batch (N, ...) in eval mode.

    Raises ValueError where a layer does not take what the layer before it gave: a chain of boxes would be wrong.
    """
    network, calls, seen = deepcopy(module).eval(), [], example

    def record(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal seen
        _check_chain(f"{name}'s input", inputs[0], seen)
        seen = output
        if not isinstance(layer, INVISIBLE):
            calls.append((name, layer, tuple(output.shape[1:])))

    for name, layer in network.named_modules():
        if not [*layer.children()]:
            layer.register_forward_hook(partial(record, name))
    with torch.no_grad():
        _check_chain(f"{type(module).__name__}'s output", network(example), seen)
    return _blocks(calls, flat=isinstance(module, nn.Sequential))


def _check_chain(what: str, tensor: Tensor, given: Tensor) -> None:
    """Whether one is the other, up to its shape and place in memory."""
    if tensor.numel() != given.numel() or not torch.equal(tensor.flatten(), given.flatten()):
        raise ValueError(f"{what} is not what the layer before gave: the network is no chain of layers")


def _blocks(calls: Sequence[Call], flat: bool) -> list[Block]:
    """A box ends before the next part and before its second layer with weights."""
    groups: list[tuple[str, list[Call]]] = []
    for call in calls:
        part = "" if flat else call[0].split(".")[0]
        if not groups or groups[-1][0] != part or _has_weights(call) and any(map(_has_weights, groups[-1][1])):
            groups.append((part, []))
        groups[-1][1].append(call)
    counted: set[nn.Parameter] = set()
    return [_block(part, group, counted) for part, group in groups]


def _has_weights(call: Call) -> bool:
    return not isinstance(call[1], NORMS) and bool([*call[1].parameters()])


def _block(part: str, calls: Sequence[Call], counted: set[nn.Parameter]) -> Block:
    own = {parameter for _, layer, _ in calls for parameter in layer.parameters()} - counted
    counted |= own
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in own]
    steps = tuple(_step(layer) for _, layer, _ in calls)
    return Block(steps, calls[-1][2], sum(n for n, _ in sizes), sum(n for n, learns in sizes if learns), part)


def _step(layer: nn.Module) -> str:
    """A layer's name and settings. Subclasses of torch's layers are named by the function that they stand for."""
    match layer:
        case CONVOLUTIONS():
            return ("Nearest ×2, " if isinstance(layer, UpsampleConv2d) else "") + _convolution(layer)
        case nn.Linear():
            return f"Linear {layer.in_features}→{layer.out_features}"
        case nn.LeakyReLU():
            return f"LReLU {layer.negative_slope:g}"
        case nn.Dropout():
            return f"Dropout {layer.p:g}"
        case BATCH_NORMS():
            return "BN"
        case nn.Unflatten():
            return "Reshape"
    return type(layer).__name__


def _convolution(layer: nn.Module) -> str:
    """Channels, kernel, and where they are not the usual ones stride and padding: `Conv 3→64 k4 s2 p1`."""
    settings = [f"{'ConvT' if layer.transposed else 'Conv'} {layer.in_channels}→{layer.out_channels}"]
    for letter, value, usual in (("k", layer.kernel_size, ""), ("s", layer.stride, "1"), ("p", layer.padding, "0")):
        size = value if isinstance(value, str) else "×".join(map(str, set(value) if len(set(value)) == 1 else value))
        settings += [letter + size] if size != usual else []
    return " ".join(settings)

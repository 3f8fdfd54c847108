"""What a network consists of, read off the torch module: the boxes of a diagram, in the order in which they run."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modescope.models.layers import UpsampleConv2d

# torch has no public name for all its batch norms, or for all its convolutions.
BATCH_NORMS, CONVOLUTIONS = nn.modules.batchnorm._BatchNorm, nn.modules.conv._ConvNd
NORMS = (BATCH_NORMS, nn.GroupNorm, nn.LayerNorm)
Call = tuple[nn.Module, str, tuple[int, ...]]  # a layer, its name, the shape of its output
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


def trace(module: nn.Module, example: Tensor) -> list[Block]:
    """The boxes of a network in order of call. It runs once on a batch (N, ...), in eval mode; its modes are restored.

    Raises ValueError where a layer does not take what the layer before it gave: a chain of boxes would be wrong.
    """
    calls: list[Call] = []
    seen = example

    def before(name: str, inputs: tuple[Tensor, ...]) -> None:
        _check(_same_values(inputs[0], seen), f"{name or type(module).__name__} does not take", "the layer before it")

    def after(name: str, layer: nn.Module, output: Tensor) -> None:
        nonlocal seen
        seen = output
        calls.append((layer, name, tuple(output.shape[1:])))

    modes, hooks = [(part, part.training) for part in module.modules()], []
    for name, layer in module.named_modules():
        if next(layer.children(), None) is None:
            hooks.append(layer.register_forward_pre_hook(lambda _, inputs, name=name: before(name, inputs)))
            hooks.append(layer.register_forward_hook(lambda layer, _, output, name=name: after(name, layer, output)))
    try:
        with torch.no_grad():
            result = module.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
        for part, mode in modes:
            part.training = mode
    _check(_same_values(result, seen), f"{type(module).__name__} does not return", "its last layer")
    return _blocks(calls, flat=isinstance(module, nn.Sequential))


def _check(holds: bool, what: str, source: str) -> None:
    if not holds:
        raise ValueError(f"{what} what {source} gave: the network is no chain of layers")


def _same_values(one: Tensor, other: Tensor) -> bool:
    """Whether one is the other, up to its shape and place in memory."""
    return one.numel() == other.numel() and torch.equal(one.flatten(), other.flatten())


def _blocks(calls: Sequence[Call], flat: bool) -> list[Block]:
    """A layer with weights opens a box; what follows joins it. Flatten goes with the layer after it, if any."""
    calls = [call for call in calls if not isinstance(call[0], INVISIBLE)]
    parts = ["" if flat else name.split(".")[0] for _, name, _ in calls]
    groups: list[tuple[str, list[Call]]] = []
    for index, (call, part) in enumerate(zip(calls, parts, strict=True)):
        joins = bool(groups) and groups[-1][0] == part
        if isinstance(call[0], nn.Flatten):
            joins = joins and parts[index + 1 : index + 2] != [part]
        elif any(True for _ in call[0].parameters()) and not isinstance(call[0], NORMS):
            joins = joins and all(isinstance(layer, nn.Flatten) for layer, _, _ in groups[-1][1])
        if joins:
            groups[-1][1].append(call)
        else:
            groups.append((part, [call]))
    counted: set[nn.Parameter] = set()
    return [_block(part, group, counted) for part, group in groups]


def _block(part: str, calls: Sequence[Call], counted: set[nn.Parameter]) -> Block:
    own = {parameter for layer, _, _ in calls for parameter in layer.parameters()} - counted
    counted |= own
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in own]
    steps = tuple(_step(layer) for layer, _, _ in calls)
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
        case nn.PixelShuffle():
            return f"PixelShuffle {layer.upscale_factor}"
    return (
        "BN"
        if isinstance(layer, BATCH_NORMS)
        else "Reshape"
        if isinstance(layer, nn.Unflatten)
        else type(layer).__name__
    )


def _convolution(layer: nn.Module) -> str:
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

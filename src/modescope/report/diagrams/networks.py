"""The two diagrams: networks layer by layer, and what study 2's second stage builds around a generator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from matplotlib.offsetbox import OffsetBox
from torch import nn

from modescope.report.diagrams.blocks import Block, count, trace
from modescope.report.diagrams.drawing import FROZEN, HEAD, PLAIN, TRAINED, Kind, arrow, below, beside, box, png, text
from modescope.report.figures import Picture

BOXES_IN_A_LINE = 6
SHARED_LINE = 16  # characters: short steps stand on one line
SETTINGS = "Settings of a convolution: k4 kernel, s2 stride, p1 padding."
PARTS = {"before": "input layer", "generator": "generator G", "after": "output layer"}


@dataclass(frozen=True)
class Flow:
    """A traced network between the names of what goes in, of shape `entry`, and of what it returns."""

    title: str
    source: str
    target: str
    entry: tuple[int, ...]
    blocks: Sequence[Block]

    @property
    def heading(self) -> str:
        """The title with the number of all parameters."""
        return f"{self.title}: {count(total(self.blocks))} parameters"

    def lines(self) -> OffsetBox:
        """Boxes from left to right, shapes on the arrows; a long network continues in the next line."""
        parts, shape = [text(self.source, HEAD, bold=True)], self.entry
        for block in self.blocks:
            soft = count(block.parameters) if block.parameters else ""
            parts += [arrow(shape_text(shape)), box(wrapped(block.steps).split("\n"), kind([block]), soft)]
            shape = block.shape
        parts += [arrow(shape_text(shape)), text(self.target, HEAD, bold=True)]
        step = 2 * BOXES_IN_A_LINE  # a box with the arrow before it
        starts = range(1, max(2, len(parts) - 2), step)
        lines = [beside(parts[start - (start == 1) : start + step]) for start in starts[:-1]]
        lines.append(beside(parts[starts[-1] - (starts[-1] == 1) :]))
        return below([text(self.heading, HEAD, bold=True), *lines])


def draw(name: str, title: str, flows: Sequence[Flow]) -> Picture:
    """Networks below each other, every layer a box."""
    caption = (
        "A box is a layer with what follows it, and its number of parameters; on the arrows the shape of what passes, "
        f"of one image. {SETTINGS}"
    )
    said = [", ".join(f"{block.text} gives {shape_text(block.shape)}" for block in flow.blocks) for flow in flows]
    alt = " ".join(f"{flow.heading}: {boxes}." for flow, boxes in zip(flows, said, strict=True))
    return Picture(name, title, caption, alt, png(lambda: [flow.lines() for flow in flows]))


def architecture_pictures(
    generators: Mapping[str, nn.Module], discriminator: nn.Module, latent_dim: int, guide: str, guide_parameters: int
) -> list[Picture]:
    """The figures `dcgan` (the first generator and the discriminator in detail) and `architectures` (all generators).

    Args:
        generators: by the architecture's letter; one with a child `generator` has layers `before` and `after` it.
        guide: name of the frozen classifier.
    """
    first, entry = next(iter(generators.values())), (latent_dim,)
    inner = _trace(getattr(first, "generator", first), entry)
    judging = _trace(discriminator, inner[-1].shape)
    flows = [Flow("Generator", "z", "x", entry, inner), Flow("Discriminator", "x", "logit", inner[-1].shape, judging)]
    critics = {"discriminator D": (total(judging), kind(judging)), f"guide C: {guide}": (guide_parameters, FROZEN)}
    traced = {letter: _trace(module, entry) for letter, module in generators.items()}
    trained = {letter: count(sum(block.trainable for block in blocks)) for letter, blocks in traced.items()}
    titles = {
        letter: f"trains {trained[letter]} of the {count(total(blocks))} parameters between z and x′"
        for letter, blocks in traced.items()
    }
    caption = (
        "What stage 2 trains in every architecture, and the two terms of the generator's loss. The discriminator is "
        f"trained in turn, the guide never; k is the component of the mixture that z was drawn from. {SETTINGS}"
    )

    def overview() -> list[OffsetBox]:
        headings = [beside([text(letter, HEAD + 2, bold=True), text(title)]) for letter, title in titles.items()]
        lines = [_architecture(blocks, critics, entry) for blocks in traced.values()]
        return [below(pair) for pair in zip(headings, lines, strict=True)]

    alt = " ".join(f"{letter}: {title}." for letter, title in titles.items())
    title = "The architectures of stage 2"
    return [draw("dcgan", "The DCGAN", flows), Picture("architectures", title, caption, alt, png(overview))]


def _architecture(blocks: Sequence[Block], critics: Mapping[str, tuple[int, Kind]], shape: Sequence[int]) -> OffsetBox:
    """From the mixture through the parts to the critics and the terms of the loss."""
    line = [box(["(z, k) from", "the mixture"], PLAIN)]
    for part, title in PARTS.items():
        own = [block for block in blocks if (block.part if block.part in PARTS else "generator") == part]
        if own:
            steps = [] if part == "generator" else [block.text for block in own]
            line += [
                arrow(shape_text(shape)),
                box([title, *steps], kind(own), f"{count(total(own))} · {kind(own).label}"),
            ]
            shape = own[-1].shape
    judged = [box([name], look, f"{count(number)} · {look.label}") for name, (number, look) in critics.items()]
    losses = [box([term], PLAIN) for term in ("BCE(D(x′), 1)", "λ · CE(C(x′), k)")]
    ends = [beside([critic, arrow(), loss]) for critic, loss in zip(judged, losses, strict=True)]
    return beside([*line, arrow(shape_text(shape)), below(ends)])


def _trace(module: nn.Module, shape: Sequence[int]) -> list[Block]:
    """With a batch (1, *shape) of values that differ from each other."""
    return trace(module, torch.linspace(-1, 1, prod(shape)).view(1, *shape))


def total(blocks: Sequence[Block]) -> int:
    """Number of parameters."""
    return sum(block.parameters for block in blocks)


def kind(blocks: Sequence[Block]) -> Kind:
    """Trained where any parameter is."""
    if any(block.trainable for block in blocks):
        return TRAINED
    return FROZEN if total(blocks) else PLAIN


def shape_text(shape: Sequence[int]) -> str:
    """256×8×8; a scalar is 1."""
    return "×".join(map(str, shape)) or "1"


def wrapped(steps: Sequence[str]) -> str:
    """The steps on short lines: a layer with its settings below it, then what follows it."""
    lines: list[str] = []
    sharing = False
    for step in steps:
        if "→" in step:
            head, _, settings = step.replace(", ", ",\n").partition(" k")
            lines += [*head.split("\n"), *([f"k{settings}"] if settings else [])]
        elif sharing and len(f"{lines[-1]} · {step}") <= SHARED_LINE:
            lines[-1] += f" · {step}"
        else:
            lines.append(step)
        sharing = "→" not in step
    return "\n".join(lines)

"""Diagrams of networks, drawn from the torch modules: boxes and arrows, packed as a browser packs words."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, OffsetBox, PaddedBox, TextArea, VPacker
from torch import nn

from modescope.report.blocks import Block, trace
from modescope.report.figures import DPI, INK, SOFT_INK, STYLE, Picture, render
from modescope.report.texts import SHARED

# What a box is -> its fill and edge: Okabe and Ito's colours, and light shades of them.
KINDS = {"trained": ("#fdeadd", "#d55e00"), "frozen": ("#e0eff9", "#0072b2"), "no parameters": ("#ffffff", SOFT_INK)}
TRAINED, FROZEN, PLAIN = KINDS
TEXT, SMALL, HEAD, MARGIN = 7.5, 7.0, 9.0, 12  # points
CELLS_IN_A_LINE = 8
PARTS = {"before": "input layer", "generator": "generator G", "after": "output layer"}


def text(line: str, points: float = TEXT, colour: str = INK, bold: bool = False) -> TextArea:
    """One line of text."""
    font = {"size": points, "weight": "bold" if bold else "normal", "family": STYLE["font.family"]}
    return TextArea(line, textprops={"color": colour, **font})


def box(lines: str, kind: str, soft: str = "") -> OffsetBox:
    """A box of one of KINDS with centred lines of text, the last of which may be a soft one."""
    rows = [*map(text, lines.split("\n")), *([text(soft, SMALL, SOFT_INK)] if soft else [])]
    fill, edge = KINDS[kind]
    frame = {"facecolor": fill, "edgecolor": edge, "boxstyle": "round,pad=0,rounding_size=4"}
    return PaddedBox(below(rows, 3, "center"), pad=6, draw_frame=True, patch_attrs=frame)


def beside(parts: Sequence[OffsetBox]) -> OffsetBox:
    """Parts from left to right, on one middle line."""
    return HPacker(children=list(parts), pad=0, sep=5, align="center")


def below(parts: Sequence[OffsetBox], apart: float = 10, align: str = "left") -> OffsetBox:
    """Parts from top to bottom, so many points apart."""
    return VPacker(children=list(parts), pad=0, sep=apart, align=align)


def chain(parts: Sequence[OffsetBox], passing: Sequence[str]) -> OffsetBox:
    """Parts with arrows between them and above each arrow what passes; a long chain continues in the next line."""
    cells = [parts[0]]
    for words, part in zip(passing, parts[1:], strict=True):
        arrow = below([text(words, SMALL, SOFT_INK), text("⟶", 11, SOFT_INK), text("", SMALL)], 0, "center")
        cells.append(beside([arrow, part]))
    return below([beside(cells[start : start + CELLS_IN_A_LINE]) for start in range(0, len(cells), CELLS_IN_A_LINE)])


def png(parts: Sequence[OffsetBox]) -> bytes:
    """Parts below each other, over a legend of the boxes' kinds, on a page that is as large as they are."""
    page = below([*parts, beside([box(kind, kind) for kind in KINDS])], 16)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.add_artist(AnchoredOffsetbox("center", child=page, frameon=False, pad=0, borderpad=0))
        figure.set_size_inches(page.get_bbox(figure.canvas.get_renderer()).size / DPI + 2 * MARGIN / 72)

    return render(draw, 1, 1)


class Flow(NamedTuple):
    """A traced network between the names of what goes in, of shape `entry`, and of what it returns."""

    title: str
    source: str
    target: str
    entry: tuple[int, ...]
    blocks: Sequence[Block]


def layers_picture(flows: Sequence[Flow]) -> Picture:
    """Networks below each other, every layer a box."""
    parts, alt = [], []
    for network, source, target, entry, blocks in flows:
        heading = f"{network}: {count(total(blocks))} parameters"
        boxes = [
            box(wrapped(one.steps), kind([one]), count(one.parameters) if one.parameters else "") for one in blocks
        ]
        ends = [text(end, HEAD, bold=True) for end in (source, target)]
        line = chain([ends[0], *boxes, ends[1]], [shape_text(shape) for shape in (entry, *(b.shape for b in blocks))])
        parts.append(below([text(heading, HEAD, bold=True), line]))
        alt.append(f"{heading}: {', '.join(f'{one.text} gives {shape_text(one.shape)}' for one in blocks)}.")
    return SHARED("dcgan", alt=" ".join(alt)).picture(png(parts))


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
    detailed = layers_picture(flows)
    critics = [("discriminator D", total(judging), kind(judging)), (f"guide C: {guide}", guide_parameters, FROZEN)]
    parts, alt = [], []
    for letter, module in generators.items():
        blocks = _trace(module, entry)
        trained = count(sum(block.trainable for block in blocks))
        title = f"trains {trained} of the {count(total(blocks))} parameters between z and x′"
        parts.append(below([beside([text(letter, HEAD + 2, bold=True), text(title)]), _line(blocks, critics, entry)]))
        alt.append(f"{letter}: {title}.")
    return [detailed, SHARED("architectures", alt=" ".join(alt)).picture(png(parts))]


def _line(blocks: Sequence[Block], critics: Sequence[tuple[str, int, str]], entry: tuple[int, ...]) -> OffsetBox:
    """An architecture, from the mixture through its parts to the critics and the terms of the loss."""
    parts, shapes = [box("(z, k) from\nthe mixture", PLAIN)], [entry]
    for part, title in PARTS.items():
        own = [block for block in blocks if (block.part if block.part in PARTS else "generator") == part]
        if own:
            steps = [] if part == "generator" else [block.text for block in own]
            parts.append(box("\n".join([title, *steps]), kind(own), f"{count(total(own))} · {kind(own)}"))
            shapes.append(own[-1].shape)
    judged = [box(name, what, f"{count(number)} · {what}") for name, number, what in critics]
    losses = [box(term, PLAIN) for term in ("adversarial loss of D(x′)", "λ · CE(C(x′), k)")]
    parts.append(below([chain(pair, [""]) for pair in zip(judged, losses, strict=True)]))
    return chain(parts, [*map(shape_text, shapes)])


def _trace(module: nn.Module, shape: Sequence[int]) -> list[Block]:
    """With a batch (1, *shape) of values that differ from each other."""
    return trace(module, torch.linspace(-1, 1, prod(shape)).view(1, *shape))


def total(blocks: Sequence[Block]) -> int:
    """Number of parameters."""
    return sum(block.parameters for block in blocks)


def kind(blocks: Sequence[Block]) -> str:
    """Trained where any parameter is."""
    if any(block.trainable for block in blocks):
        return TRAINED
    return FROZEN if total(blocks) else PLAIN


def shape_text(shape: Sequence[int]) -> str:
    """256×8×8; a scalar is 1."""
    return "×".join(map(str, shape)) or "1"


def count(parameters: int) -> str:
    """Three digits and a unit: 195, 1.92 k, 3.58 M."""
    for unit, name in ((10**6, " M"), (10**3, " k")):
        if parameters >= 0.9995 * unit:
            return f"{parameters / unit:.3g}{name}"
    return str(parameters)


def wrapped(steps: Sequence[str]) -> str:
    """A line for every step, settings of a convolution on the next, a batch norm beside what follows it."""
    return "\n".join(steps).replace(", ", ",\n").replace(" k", "\nk").replace("BN\n", "BN · ")

"""Study 2's architectures: what stage 2 builds around the generator, and what judges its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from modescope.report.diagrams.blocks import Block, count, trace
from modescope.report.diagrams.canvas import (
    FROZEN,
    GROUP,
    HEAD,
    HEADING,
    MARGIN,
    PAD,
    PLAIN,
    SMALL,
    Kind,
    Point,
    arrow,
    box,
    kind,
    label,
    line,
    on_arrow,
    png,
    shape_text,
    text_width,
)
from modescope.report.diagrams.flow import SETTINGS, Flow, draw, told
from modescope.report.figures import GRID, SOFT_INK
from modescope.report.page import Picture

PRIOR, GENERATOR, LOSSES = "(z, k) from\nthe mixture", "generator G", ("BCE(D(x′), 1)", "λ · CE(C(x′), k)")
ADAPTERS = {"before": "input layer", "after": "output layer"}
GAPS = {
    "prior": MARGIN,
    "before": 0.4,
    "generator": 0.4,
    "after": 0.64,
    "critics": 0.78,
    "losses": 0.25,
}  # before each column
FORK = 0.2  # before the critics
TOP, SLIM, STEP, TALL = (
    0.27,
    0.25,
    0.24,
    0.46,
)  # heights: a group's title, a box of one line, the arrow below it, a box of two lines
CARRIED, BELOW = 0.2, 0.36  # below a row's boxes: where k is carried, where the row ends

Parts = Mapping[str, Sequence[Block]]  # some of before, generator, after


@dataclass(frozen=True)
class Critic:
    """What judges the images: the discriminator, the guide."""

    name: str
    parameters: int
    look: Kind


@dataclass(frozen=True)
class _Page:
    """What all rows share: the critics, the length of z, left edge and width of every column."""

    critics: Sequence[Critic]
    latent_dim: int
    places: Mapping[str, Point]

    def centre(self, column: str) -> float:
        """Its x."""
        left, width = self.places[column]
        return left + width / 2


def architecture_pictures(
    generators: Mapping[str, nn.Module], discriminator: nn.Module, latent_dim: int, guide: str, guide_parameters: int
) -> list[Picture]:
    """The figures `dcgan` (the first generator and the discriminator in detail) and `architectures` (one row per
    generator).

    Args:
        generators: by the architecture's letter; one with a child `generator` has layers `before` and `after` it.
        guide: name of the frozen classifier.
    """
    z = _example((latent_dim,))
    first = next(iter(generators.values()))
    inner = trace(getattr(first, "generator", first), z)
    judging = trace(discriminator, _example(inner[-1].shape))
    flows = [
        Flow("Generator", "z", "x", (latent_dim,), inner),
        Flow("Discriminator", "x", "logit", inner[-1].shape, judging),
    ]
    critics = (
        Critic("discriminator D", _total(judging), kind(judging)),
        Critic(f"guide C: {guide}", guide_parameters, FROZEN),
    )
    rows = {letter: _parts(trace(module, z)) for letter, module in generators.items()}
    return [
        draw("dcgan", "The DCGAN", flows),
        _overview(rows, _Page(critics, latent_dim, _places(list(rows.values()), critics))),
    ]


def _example(shape: Sequence[int]) -> Tensor:
    """A batch (1, *shape) of values that differ from each other."""
    return torch.linspace(-1, 1, prod(shape)).view(1, *shape)


def _parts(blocks: Sequence[Block]) -> Parts:
    """The boxes by part; a network without a part `generator` is one."""
    names = dict.fromkeys(block.part for block in blocks)
    if "generator" not in names:
        return {"generator": blocks}
    return {name: [block for block in blocks if block.part == name] for name in names}


def _total(blocks: Sequence[Block]) -> int:
    return sum(block.parameters for block in blocks)


def _all(parts: Parts) -> list[Block]:
    return [block for blocks in parts.values() for block in blocks]


def _overview(rows: Mapping[str, Parts], page: _Page) -> Picture:
    """One row per architecture, equal parts below each other."""
    heights = [HEADING + _height(parts) + BELOW for parts in rows.values()]
    width = sum(page.places["losses"]) + MARGIN

    def fill(axes: Axes) -> None:
        for index, (letter, parts) in enumerate(rows.items()):
            top = sum(heights[:index])
            if index:
                axes.plot([MARGIN, width - MARGIN], [top, top], color=GRID, linewidth=1)
            trainable = count(sum(block.trainable for block in _all(parts)))
            label(axes, (MARGIN, top + HEADING / 2), letter, HEAD + 2, "left", bold=True)
            heading = f"trains {trainable} of the {count(_total(_all(parts)))} parameters between z and x′"
            label(axes, (MARGIN + 0.2, top + HEADING / 2), heading, align="left", colour=SOFT_INK)
            _row(axes, page, parts, top + HEADING + _height(parts) / 2)

    kinds = [kind(blocks) for parts in rows.values() for blocks in parts.values()] + [
        critic.look for critic in page.critics
    ]
    caption = (
        "What stage 2 trains in every architecture, and the two terms of the generator's loss. The discriminator is trained in turn, "
        f"the guide never; the dashed k is the component of the mixture that z was drawn from. {SETTINGS}"
    )
    alt = " ".join(
        f"{letter}: {'; '.join(f'{name}, {_told(name, blocks)}' for name, blocks in parts.items())}."
        for letter, parts in rows.items()
    )
    return Picture("architectures", "The architectures of stage 2", caption, alt, png(fill, kinds, width, sum(heights)))


def _told(part: str, blocks: Sequence[Block]) -> str:
    return told(blocks) if part in ADAPTERS else f"{count(_total(blocks))} parameters, {kind(blocks).label}"


def _places(rows: Sequence[Parts], critics: Sequence[Critic]) -> dict[str, Point]:
    """Left edge and width of every column that some row fills."""
    widths = {"prior": text_width(PRIOR) + 2 * PAD}
    for name in ("before", "generator", "after"):
        blocks = [block for parts in rows for block in parts.get(name, ())]
        if name == "generator":
            widths[name] = text_width(GENERATOR) + 4 * PAD
        elif blocks:
            boxes = max(text_width(block.text) + text_width(block.weights, SMALL) for block in blocks) + 0.15 + 2 * PAD
            widths[name] = max(boxes, text_width(ADAPTERS[name], bold=True)) + 2 * PAD
    widths["critics"] = max(text_width(critic.name) for critic in critics) + 2 * PAD
    widths["losses"] = max(map(text_width, LOSSES)) + 2 * PAD
    places, x = {}, 0.0
    for name, width in widths.items():
        places[name] = (x + GAPS[name], width)
        x = sum(places[name])
    return places


def _height(parts: Parts) -> float:
    """Of a row's boxes."""
    return max(2.4 * TALL, *(_group_height(blocks) for name, blocks in parts.items() if name in ADAPTERS), 0)


def _group_height(blocks: Sequence[Block]) -> float:
    return TOP + len(blocks) * (SLIM + STEP) - STEP + PAD


def _row(axes: Axes, page: _Page, parts: Parts, middle: float) -> None:
    """From the mixture through the parts to the critics and the terms of the loss."""
    left, width = page.places["prior"]
    box(axes, (left, middle), (width, TALL), PLAIN, PRIOR)
    end, name, shape = left + width, "z", (page.latent_dim,)
    after = {"before": "z′", "generator": "x" if "after" in parts else "x′", "after": "x′"}
    for part, blocks in parts.items():
        left, width = page.places[part]
        arrow(axes, (end, middle), (left, middle))
        on_arrow(axes, (left - GAPS[part] / 2 - 0.03, middle), name, shape_text(shape))
        if part in ADAPTERS:
            _group(axes, (left, middle), width, ADAPTERS[part], blocks)
        else:
            box(
                axes,
                (left, middle),
                (width, TALL),
                kind(blocks),
                GENERATOR,
                f"{count(_total(blocks))} · {kind(blocks).label}",
            )
        end, name, shape = left + width, after[part], blocks[-1].shape
    _judge(axes, page, (end, middle))
    on_arrow(axes, (page.places["critics"][0] - (GAPS["critics"] + FORK) / 2, middle), name, shape_text(shape))
    start, stop, bottom = page.centre("prior"), page.centre("losses"), middle + _height(parts) / 2 + CARRIED
    line(
        axes,
        (start, middle + TALL / 2),
        (start, bottom),
        (stop, bottom),
        (stop, middle + 1.2 * TALL + 0.08),
        dashed=True,
    )
    arrow(axes, (stop, middle + 1.2 * TALL + 0.1), (stop, middle + 1.2 * TALL))
    label(axes, (start + 0.06, bottom - 0.08), "k", SMALL, "left")


def _judge(axes: Axes, page: _Page, start: Point) -> None:
    """The image goes to both critics, each of which gives a term of the loss."""
    (left, width), (loss, loss_width), middle = page.places["critics"], page.places["losses"], start[1]
    line(axes, start, (left - FORK, middle))
    for side, critic, term in zip((-1, 1), page.critics, LOSSES, strict=True):
        y = middle + side * 0.7 * TALL
        line(axes, (left - FORK, middle), (left - FORK, y))
        arrow(axes, (left - FORK, y), (left, y))
        box(
            axes,
            (left, y),
            (width, TALL),
            critic.look,
            critic.name,
            f"{count(critic.parameters)} · {critic.look.label}",
        )
        arrow(axes, (left + width, y), (loss, y))
        box(axes, (loss, y), (loss_width, TALL), PLAIN, term)
    label(axes, (page.centre("losses"), middle), "+", HEAD)


def _group(axes: Axes, place: Point, width: float, title: str, blocks: Sequence[Block]) -> None:
    """A part as a group: its boxes from top to bottom, each on one line."""
    left, middle = place
    y = middle - _group_height(blocks) / 2
    box(axes, place, (width, _group_height(blocks)), GROUP)
    label(axes, (left + PAD, y + TOP / 2), title, align="left", bold=True)
    y += TOP + SLIM / 2
    for index, block in enumerate(blocks):
        if index:
            centre = left + width / 2
            arrow(axes, (centre, y - SLIM / 2 - STEP), (centre, y - SLIM / 2))
            label(
                axes,
                (centre + 0.08, y - (SLIM + STEP) / 2),
                shape_text(blocks[index - 1].shape),
                SMALL,
                "left",
                SOFT_INK,
            )
        box(axes, (left + PAD, y), (width - 2 * PAD, SLIM), kind([block]))
        label(axes, (left + 2 * PAD, y), block.text, align="left")
        label(axes, (left + width - 2 * PAD, y), block.weights, SMALL, "right", SOFT_INK)
        y += SLIM + STEP

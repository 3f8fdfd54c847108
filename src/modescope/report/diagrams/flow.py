"""Networks in detail: every layer a box."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from modescope.report.diagrams.blocks import Block, count
from modescope.report.diagrams.canvas import (
    HEAD,
    HEADING,
    LINE,
    MARGIN,
    PAD,
    SMALL,
    arrow,
    box,
    kind,
    label,
    on_arrow,
    png,
    shape_text,
    text_width,
)
from modescope.report.page import Picture

BOXES_IN_A_ROW = 6
BELOW = 0.2  # under a row's boxes
LEGEND = 2.8  # beside the heading, at most
SHARED_LINE = 16  # characters: short steps stand on one line
SETTINGS = "Settings of a convolution: k4 kernel, s2 stride, p1 padding."


@dataclass(frozen=True)
class Flow:
    """A traced network between the names of what goes in, of shape `entry`, and of what comes out."""

    title: str
    source: str
    target: str
    entry: tuple[int, ...]
    blocks: Sequence[Block]

    @property
    def heading(self) -> str:
        """The title with the number of all parameters."""
        return f"{self.title}: {count(sum(block.parameters for block in self.blocks))} parameters"


def draw(name: str, title: str, flows: Sequence[Flow]) -> Picture:
    """Networks below each other, boxes from left to right, shapes on the arrows; a long one goes on in the next row."""
    pieces = [(flow, start) for flow in flows for start in range(0, len(flow.blocks), BOXES_IN_A_ROW)]
    blocks = [block for flow in flows for block in flow.blocks]
    shapes = [flow.entry for flow in flows] + [block.shape for block in blocks]
    texts = {block.steps: wrapped(block.steps) for block in blocks}
    size = (
        max(map(text_width, texts.values())) + 2 * PAD,
        max(text.count("\n") + 2 for text in texts.values()) * LINE + PAD,
    )
    gap = max(text_width(shape_text(shape), SMALL) for shape in shapes) + 0.2
    source = max(text_width(flow.source, HEAD, bold=True) for flow in flows) + PAD
    target = max(text_width(flow.target, HEAD, bold=True) for flow in flows) + PAD
    boxes = source + gap + (size[0] + gap) * min(BOXES_IN_A_ROW, max(len(flow.blocks) for flow in flows)) + target
    width = 2 * MARGIN + max(boxes, max(text_width(flow.heading, HEAD, bold=True) for flow in flows) + LEGEND)

    def fill(axes: Axes) -> None:
        for index, (flow, start) in enumerate(pieces):
            middle = (index + 1) * HEADING + index * (size[1] + BELOW) + size[1] / 2
            if start == 0:
                label(axes, (MARGIN, middle - (size[1] + HEADING) / 2), flow.heading, HEAD, "left", bold=True)
                label(axes, (MARGIN + source - PAD, middle), flow.source, HEAD, "right", bold=True)
            x, shape = MARGIN + source, flow.blocks[start - 1].shape if start else flow.entry
            for block in flow.blocks[start : start + BOXES_IN_A_ROW]:
                arrow(axes, (x, middle), (x + gap, middle))
                on_arrow(axes, (x + gap / 2 - 0.03, middle), shape_text(shape))
                box(axes, (x + gap, middle), size, kind([block]), texts[block.steps], block.weights)
                x, shape = x + gap + size[0], block.shape
            arrow(axes, (x, middle), (x + gap, middle))
            on_arrow(axes, (x + gap / 2 - 0.03, middle), shape_text(shape))
            if start + BOXES_IN_A_ROW >= len(flow.blocks):
                label(axes, (x + gap + PAD, middle), flow.target, HEAD, "left", bold=True)

    caption = f"A box is a layer with what follows it, and its number of parameters; on the arrows the shape of what passes, of one image. {SETTINGS}"
    alt = " ".join(f"{flow.heading}: {told(flow.blocks)}." for flow in flows)
    return Picture(
        name,
        title,
        caption,
        alt,
        png(fill, [kind([block]) for block in blocks], width, len(pieces) * (HEADING + size[1] + BELOW)),
    )


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


def told(blocks: Sequence[Block]) -> str:
    """The boxes in words."""
    return ", ".join(f"{block.text} gives {shape_text(block.shape)}" for block in blocks)

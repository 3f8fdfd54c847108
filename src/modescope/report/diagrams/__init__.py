"""Diagrams of networks, drawn from the torch modules themselves: what stands in a box is what ran."""

from modescope.report.diagrams.architectures import architecture_pictures
from modescope.report.diagrams.blocks import Block, trace
from modescope.report.diagrams.flow import Flow, draw

__all__ = ["Block", "Flow", "architecture_pictures", "draw", "trace"]

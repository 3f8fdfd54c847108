"""Diagrams of networks, drawn from the torch modules themselves: what stands in a box is what ran."""

"""Modescope: why small image generators lose modes, and what brings them back."""

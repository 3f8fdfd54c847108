"""Stages side by side, on this machine or on many: DVC's graph, slices of it, executors, and the driver of all."""

"""A promoted run as `mlflow.pyfunc.load_model` gives it to somebody without this repository. Imports no MLflow."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.samplers import Sampler


class Generator:
    """Draws images to order.

    Its input is a table (a pandas DataFrame) whose rows are orders: `n` images, of the class `label` (absent or blank:
    the run's own labels), drawn with `seed` (0). The same order always gives the same images.
    """

    def __init__(self, sampler: Sampler):
        self.sampler = sampler

    def predict(self, orders: Any, params: Any = None) -> np.ndarray:
        """(N, C, H, W) uint8, the images of all orders in turn. Raises UserError for a label that the run lacks."""
        return np.concatenate([self._draw(**order) for order in orders.to_dict("records")])

    def _draw(self, n: int, label: float | None = None, seed: float | None = None) -> np.ndarray:
        labels = None if _blank(label) else torch.full((int(n),), int(label))
        return self.sampler.sample(int(n), 0 if _blank(seed) else int(seed), labels).images.numpy()


def _blank(value: float | None) -> bool:
    return value is None or value != value


def _load_pyfunc(path: str) -> Generator:
    """What MLflow calls: the generator of the run's folder `path`."""
    return Generator(load_sampler(Path(path)))

"""The watchman: it notices a generator that draws one image whatever it is fed, while it trains."""

from collections.abc import Sequence
from itertools import takewhile

from torch import Tensor

SPREAD = "eval/sample_spread"  # of the curve
SHARE = 0.01  # of the data's spread: below it samples are one image
POINTS = 5  # of the curve that lie below it one after the other, before it is called a collapse


def relative_spread(samples: Tensor, real: Tensor) -> float:
    """How far samples of one class lie from each other, in units of how far real images do: 0 for one image.

    The distance is the root mean square over pairs and pixels, which is sqrt(2) times the standard deviation.

    Args:
        samples: (N, G, C, H, W) uint8, N of each of G classes.
        real: (M, C, H, W) uint8, of any class.
    """
    between, data = (images.float().var(dim=0).mean().sqrt() for images in (samples, real))
    return (between / data).item()


def collapsed_at_step(history: Sequence[dict[str, float]]) -> int | None:
    """The step since which the samples have been one image, if they have been for the last `POINTS` of the curve.

    Args:
        history: points of the curve, oldest first, each with its `step`; those without a spread are passed over.
    """
    watched = [point for point in history if SPREAD in point]
    below = list(takewhile(lambda point: point[SPREAD] < SHARE, reversed(watched)))
    return int(below[-1]["step"]) if len(below) >= POINTS else None

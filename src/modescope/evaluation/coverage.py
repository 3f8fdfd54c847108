"""Stacked digits: how many of 1,000 modes are covered, how evenly (Srivastava et al. 2017, arXiv:1705.07761)."""

import math
from typing import Any

import torch
from torch import Tensor

from modescope.data.stacked import CHANNELS, DIGITS, digits_to_mode
from modescope.evaluation.class_share import class_counts, share
from modescope.evaluation.features import Extractor, extract_features


def stacked_coverage(images: Tensor, extractor: Extractor, enough: int, num_classes: int) -> dict[str, Any]:
    """`mode_coverage` of stacked digits (N, 3, H, W) uint8 as the judge sees them, with num_samples = N."""
    modes = judged_modes(images, extractor, num_classes)
    return mode_coverage(modes, num_classes**CHANNELS, enough) | {"num_samples": len(images)}


def judged_modes(images: Tensor, extractor: Extractor, num_classes: int = DIGITS) -> Tensor:
    """Judge every channel of the images (N, 3, H, W) uint8 as a grey image of a digit.

    Returns:
        (N,) int64 in 0 ... K^3 - 1: the number that an image's three digits spell.
    Raises:
        ValueError: other shapes or dtypes; the extractor sees more than K classes.
    """
    logits = extract_features(images.flatten(0, 1).unsqueeze(1), extractor).logits  # (N * 3, K)
    return digits_to_mode(logits.argmax(1).view(images.shape[:2]), num_classes)


def mode_coverage(modes: Tensor, num_modes: int, enough: int) -> dict[str, Any]:
    """Count the modes among samples.

    KL is not smoothed, as published. A perfect generator of 1,000 equal modes still has 0.019 with 26,000 samples. One
    sample covers a mode, even where the judge erred; hence `modes_enough`.

    Args:
        modes: (N >= 1,) int64 in [0, num_modes).
        enough: samples with which a mode counts in `modes_enough`.

    Returns:
        modes_covered: modes with a sample; modes_enough: modes with `enough` samples; kl_to_uniform: KL(samples ||
        uniform) in nats, log(num_modes) minus the entropy of the samples' modes, in [0, log(num_modes)].
    """
    counts = class_counts(modes, num_modes)
    entropy = torch.special.entr(share(counts)).sum().item()
    return {
        "modes_covered": int((counts > 0).sum()),
        "modes_enough": int((counts >= enough).sum()),
        "kl_to_uniform": math.log(num_modes) - entropy,
    }

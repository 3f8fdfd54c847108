"""Inception score exp(E_x KL(p(y|x) || p(y))) of any classifier's logits (Salimans et al. 2016, arXiv:1606.03498)."""

import math
import warnings

import torch
from torch import Tensor
from torchmetrics.image.inception import InceptionScore

from modescope.errors import UserError
from modescope.evaluation.features import Precomputed, check_features

SMALLEST_LOG_PROBABILITY = -700.0


def inception_score(logits: Tensor, splits: int, seed: int) -> tuple[float, float]:
    """Mean and (sample) standard deviation of the score over `splits` random parts, by torchmetrics in float64.

    Args:
        logits: (N, K) floating-point, before the softmax. The score lies in [1, K].
        splits: number of parts, at least 2.
        seed: decides which image falls into which part; the global random state stays as it is.
    Raises:
        UserError: if N images do not fill `splits` parts (torchmetrics would silently use fewer).
        ValueError: for another shape or dtype.
    """
    check_features(logits, "logits")
    if splits < 2 or math.ceil(len(logits) / math.ceil(len(logits) / splits)) != splits:
        raise UserError(
            f"the inception score cannot cut {len(logits)} images into {splits} equal parts (at least 2): "
            "change evaluation.is_splits or raise evaluation.num_samples"
        )
    # A probability that underflows to 0 in every image of a part would give 0 * log 0 = NaN.
    log_probabilities = logits.double().log_softmax(dim=1).clamp_min(SMALLEST_LOG_PROBABILITY)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features in buffer")
        metric = InceptionScore(feature=Precomputed(logits.shape[1]), splits=splits)
    metric.update(log_probabilities)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, std = metric.compute()
    return float(mean), float(std)

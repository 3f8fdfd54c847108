"""The one source of order: permutations that are the same on every machine."""

import numpy as np
import torch
from torch import Tensor

from modescope.errors import UserError


def random_order(count: int, seed: int, *stream: int) -> Tensor:
    """A permutation of 0 ... count - 1 as (count,) int64: the same on every machine and under every version.

    Each number gets a 64-bit key from PCG64 (O'Neill 2014), and the numbers are sorted by key. NumPy promises that
    PCG64's raw output for a seed never changes; neither `numpy.random.Generator.permutation` nor `torch.randperm`
    promise that much.

    Args:
        count: how many numbers.
        seed: >= 0.
        stream: further numbers >= 0, such as an epoch, that tell apart the permutations of one seed.

    Raises:
        UserError: the seed is negative.
    """
    if seed < 0:
        raise UserError(f"seed {seed} is negative: seeds start at 0")
    keys = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)).random_raw(count)
    return torch.from_numpy(np.argsort(keys, kind="stable"))

"""How the cost of study 1's GAN scales with batch size and width."""

from typing import Any

import torch

from benchmarks.loops import Data, steps_of
from benchmarks.measure import counted_flops, rate, with_peak_memory
from modescope.config import Params, parse_params, profile_values
from modescope.training.gan import gan_training

BATCH_SIZES = (4, 8, 16, 32, 64, 128, 256, 512)
WIDTHS = (8, 16, 32, 64, 128, 256)


def training_scaling(device: torch.device, peak_gflops: float) -> dict[str, list[dict[str, Any]]]:
    """`batch_size` at the standard width, and `width` at the standard batch size: a row for each size."""
    params, data = parse_params(profile_values("standard"), "standard"), Data(3, 32, device)
    return {
        "batch_size": [_trained(params, data, device, peak_gflops, batch_size=size) for size in BATCH_SIZES],
        "width": [_trained(params, data, device, peak_gflops, width=size) for size in WIDTHS],
    }


def _trained(params: Params, data: Data, device: torch.device, peak_gflops: float, **size: int) -> dict[str, Any]:
    settings = params.imbalance.gan.model_copy(update=size)

    def make():
        return steps_of(gan_training(settings, *data.ready, params.seed), params.precision)

    flops = counted_flops(make())
    run, memory = with_peak_memory(make, device)
    steps = rate(run, device)
    return {
        **size,
        "steps_per_second": steps,
        "images_per_second": steps * settings.batch_size,
        "peak_share": flops * steps / peak_gflops / 1e9,
        "peak_mib": memory,
    }

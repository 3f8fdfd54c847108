"""`modescope bench`: our training loops against plain ones of the same networks, in alternation, and against the
machine's arithmetic.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from modescope.bench.evaluation import evaluation_growth, evaluation_seconds
from modescope.bench.figures import picture
from modescope.bench.growth import training_growth
from modescope.bench.loops import Loop, all_loops
from modescope.bench.measure import alternate, counted_flops, machine, with_peak_memory
from modescope.files import atomic_path, write_json
from modescope.training.device import arithmetic, training_device

COLUMNS = "{:<14} {:>12} {:>12} {:>9} {:>7} {:>13} {:>13} {:>8} {:>9} {:>9}"
EVALUATION = (
    "evaluation of {images} images, every metric: {ours_seconds:.1f} s; torchmetrics' metrics one by one: {torchmetrics_seconds:.1f} s, "
    "{torchmetrics_generated_only_seconds:.1f} s with the real images kept; ratio {ratio:.2f}, {ratio_min:.2f}..{ratio_max:.2f}"
)
HEADINGS = ("loop", "ours", "plain", "images/s", "ratio", "", "arithmetic", "of peak", "MiB ours", "plain")


def main(as_json: bool = False, out: Path = Path("reports"), seconds: float = 5.0) -> None:
    """Measure every loop, the evaluation and how costs grow; print a table, or one JSON object a loop; write
    `out`/bench.json and bench.png.

    Args:
        seconds: that a round of a plain loop should take.
    """
    device = training_device()
    with arithmetic(device.type, "bf16", deterministic=False):
        found: dict[str, Any] = {**machine(device), "loops": []}
        say = (lambda _text: None) if as_json else partial(print, flush=True)
        say("\n".join(_head(found)))
        for loop in all_loops(device):
            result = compare(loop, device, found, seconds)
            found["loops"].append(result)
            print(json.dumps(result) if as_json else _row(result), flush=True)
            write_json(out / "bench.json", found)
        found["evaluation"] = evaluation_seconds(device)
        say(EVALUATION.format(**found["evaluation"]))
        found["growth"] = training_growth(device, found["peak_gflops"]) | {"evaluation": evaluation_growth(device)}
    write_json(out / "bench.json", found)
    with atomic_path(out / "bench.png") as temporary:
        temporary.write_bytes(picture(found))


def compare(loop: Loop, device: torch.device, machine: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Both loops' rates, our arithmetic and its share of the peak, and both loops' memory."""
    ours, our_memory = with_peak_memory(loop.ours, device)
    plain, plain_memory = with_peak_memory(loop.plain, device)
    rates, flops = (
        alternate(ours, plain, device, seconds),
        counted_flops(loop.ours()),
    )  # a new one: what is replayed is not counted
    return {
        "loop": loop.name,
        "device": machine["device"],
        **rates,
        "ours_images_per_second": rates["ours_steps_per_second"] * loop.images,
        "gflop_per_step": flops / 1e9,
        "peak_share": flops * rates["ours_steps_per_second"] / machine["peak_gflops"] / 1e9,
        "peak_gflops": machine["peak_gflops"],
        "ours_peak_mib": our_memory,
        "plain_peak_mib": plain_memory,
    }


def table(found: dict[str, Any]) -> list[str]:
    """The lines that are printed of what bench.json holds."""
    return [*_head(found), *map(_row, found["loops"]), EVALUATION.format(**found["evaluation"])]


def _head(found: dict[str, Any]) -> list[str]:
    return [
        f"{found['device']}: measured peak {found['peak_gflops']:.0f} GFLOP/s (bf16 matrix product)",
        COLUMNS.format(*HEADINGS),
    ]


def _row(result: dict[str, Any]) -> str:
    spread = f"{result['ratio_min']:.2f}..{result['ratio_max']:.2f}"
    rates = [f"{result[key]:.1f} steps/s" for key in ("ours_steps_per_second", "plain_steps_per_second")]
    memory = ["" if result[key] is None else f"{result[key]:.0f}" for key in ("ours_peak_mib", "plain_peak_mib")]
    flops, share = f"{result['gflop_per_step']:.1f} GFLOP", f"{result['peak_share']:.0%}"
    return COLUMNS.format(
        result["loop"],
        *rates,
        f"{result['ours_images_per_second']:.0f}",
        f"{result['ratio']:.2f}",
        spread,
        flops,
        share,
        *memory,
    )

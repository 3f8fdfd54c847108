"""The benchmark: our training loops against plain ones of the same networks, in alternation, and against the machine.

python -m benchmarks.bench --seconds 5      # also: modescope bench, make bench
"""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.evaluation import evaluation_scaling, evaluation_seconds
from benchmarks.figures import picture
from benchmarks.gpu_check import PARTIAL
from benchmarks.loops import Loop, all_loops
from benchmarks.measure import alternate, counted_flops, machine, with_peak_memory
from benchmarks.scaling import training_scaling
from modescope.files import atomic_path, write_json
from modescope.process import exit_readably
from modescope.training.device import arithmetic, training_device

COLUMNS = "{:<14} {:>12} {:>12} {:>9} {:>7} {:>13} {:>13} {:>8} {:>9} {:>9}"
EVALUATION = (
    "evaluation of {images} images, every metric: {ours_seconds:.1f} s; "
    "torchmetrics' metrics one by one: {torchmetrics_seconds:.1f} s, "
    "{torchmetrics_generated_only_seconds:.1f} s with the real images kept; "
    "ratio {ratio:.2f}, {ratio_min:.2f}..{ratio_max:.2f}"
)
HEADINGS = ("loop", "ours", "plain", "images/s", "ratio", "", "arithmetic", "of peak", "MiB ours", "plain")


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per loop, not a table")] = False,
    out: Annotated[Path, typer.Option(help="Folder for bench.json and bench.png")] = Path("reports"),
    seconds: Annotated[float, typer.Option(help="Length of a round of a plain loop (there are five)", min=0.1)] = 5.0,
) -> None:
    """Measure each training loop and the evaluation against plain ones, and how costs scale with size."""
    device = training_device()
    with arithmetic(device.type, "bf16", deterministic=False):
        found: dict[str, Any] = {**machine(device), "loops": []}
        say = (lambda _text: None) if as_json else partial(print, flush=True)
        say("\n".join(_head(found)))
        for loop in all_loops(device):
            result = compare(loop, device, found, seconds)
            found["loops"].append(result)
            print(json.dumps(result) if as_json else _row(result), flush=True)
            write_json(out / PARTIAL, found)
        found["evaluation"] = evaluation_seconds(device)
        say(EVALUATION.format(**found["evaluation"]))
        found["scaling"] = training_scaling(device, found["peak_gflops"]) | {"evaluation": evaluation_scaling(device)}
    write_json(out / "bench.json", found)
    with atomic_path(out / "bench.png") as temporary:
        temporary.write_bytes(picture(found))
    (out / PARTIAL).unlink()


def compare(loop: Loop, device: torch.device, machine: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Both loops' rates, our arithmetic and its share of the peak, and both loops' memory."""
    ours, our_memory = with_peak_memory(loop.ours, device)
    plain, plain_memory = with_peak_memory(loop.plain, device)
    rates = alternate(ours, plain, device, seconds)
    flops = counted_flops(loop.ours())  # of a new loop: the operations of a replayed graph are not seen
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
        f"{found['device']}: measured peak {found['peak_gflops']:.0f} GFLOP/s (matrix product)",
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


if __name__ == "__main__":
    exit_readably(lambda: typer.run(main))

"""Steps a second of every kind of training run of `standard` on two cores: one of two threads, or two of one thread.

python -m benchmarks.rates        # 6 minutes on two cores; nothing else may run; writes reports/rates.json

The runs are those of the profile, on noise; stage 2 has one step of the generator an iteration. `benchmarks.simulate`
reads what is written.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from modescope.files import write_json
from modescope.threads import COUNTS, WAITING, tell_torch

RATES = Path("reports/rates.json")
WAYS = {"one of two threads": (1, 2), "two of one thread": (2, 1)}  # way -> runs at once, threads of each
CODE = "from benchmarks.rates import print_rates; print_rates({seconds})"
FIRST, _ = WAYS


def main(
    seconds: Annotated[float, typer.Option(help="Length of a measurement, one step at least", min=0.1)] = 8.0,
    out: Annotated[Path, typer.Option(help="The file")] = RATES,
) -> None:
    """Print steps a second of all that runs at once, by loop and way, and write them."""
    found = {way: together(*how, seconds) for way, how in WAYS.items()}
    print(f"| loop | {' | '.join(found)} |")
    print("| :-- |" + " --: |" * len(found))
    for name in found[FIRST]:
        print(f"| {name} | {' | '.join(f'{rates[name]:.2f}' for rates in found.values())} |")
    write_json(out, found)


def together(runs: int, threads: int, seconds: float) -> dict[str, float]:
    """Steps a second of so many processes at once, added up by loop."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment |= dict.fromkeys(COUNTS, str(threads))
    command = [sys.executable, "-c", CODE.format(seconds=seconds)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(runs)]
    measured = [json.loads(each.communicate()[0]) for each in running]
    return {name: sum(each[name] for each in measured) for name in measured[0]}


def print_rates(seconds: float) -> None:
    """Print every loop's steps a second, on noise, as JSON."""
    from benchmarks.loops import of_profile, steps_of
    from modescope.process import keep_freed_memory

    tell_torch()
    keep_freed_memory()
    rates = {name: rate(steps_of(make(), "fp32"), seconds) for name, make in of_profile("standard").items()}
    print(json.dumps(rates))


def rate(run: Callable[[int], None], seconds: float) -> float:
    """Steps a second, the first one left out."""
    run(1)
    began, steps = time.perf_counter(), 0
    while time.perf_counter() < began + seconds or not steps:
        run(1)
        steps += 1
    return steps / (time.perf_counter() - began)


if __name__ == "__main__":
    typer.run(main)

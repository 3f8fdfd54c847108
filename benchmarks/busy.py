"""Steps a second on an idle machine and beside other work, by how a training's two threads wait for each other.

python benchmarks/busy.py            # 15 minutes on two cores; nothing else may run

Every row is a process of its own, since OpenMP reads its settings once. `spinning` is OpenMP's own way, `chosen` what a
stage does (`modescope.threads`), `brief` a spin of some microseconds before sleep. Memory is `kept` where glibc keeps
what is freed, as every stage asks it to (`process.keep_freed_memory`), or `returned` to the system. Other work is
endless loops, each in a session of its own: Linux shares cores out among sessions first.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modescope.threads import COUNTS, WAITING, Watch

if TYPE_CHECKING:
    from modescope.training.objective import Training

ROOT = Path(__file__).parents[1]
THREADS = 2
WAYS = {  # how threads wait -> what the environment says
    "spinning": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "brief": {"GOMP_SPINCOUNT": "3000"},
    "one thread": dict.fromkeys(COUNTS, "1"),
    "chosen": {},
}
STATES = ("idle", "busy")
ROWS = [*(("kept", way) for way in WAYS), ("returned", "spinning"), ("returned", "chosen")]
LOOPS = ("cgan-wgan-gp", "vae", "dcgan")  # the demo's first two, and the standard profile's stage 1
CHILD = """
from modescope.threads import Watch, choose_waiting
said = {choose}
from benchmarks.busy import measure  # loads torch
measure(said, {keeps}, {seconds})
"""
COLUMNS = "| {:<5} | {:<8} | {:<10} |" + " {:>12} |" * len(LOOPS) + " {}"


def main(
    seconds: Annotated[float, typer.Option(help="Length of a measurement, one step at least", min=0.1)] = 3.0,
    rounds: Annotated[int, typer.Option(help="All rows in turn, so many times; the medians count", min=1)] = 3,
    loops: Annotated[int, typer.Option(help="How many of other work", min=1)] = os.cpu_count() or 1,
    only: Annotated[Literal[*STATES] | None, typer.Option(help="One of the two states")] = None,
) -> None:
    """Print a table of steps a second, and what choosing by itself wins and costs."""
    print(f"{Watch().free_cores():.1f} of {os.cpu_count()} cores are free before anything runs")
    print(COLUMNS.format("state", "memory", "threads", *LOOPS, "").rstrip())
    print("| ----- | -------- | ---------- |" + " -----------: |" * len(LOOPS), flush=True)
    for state in (only,) if only else STATES:
        with other_work(loops) if state == "busy" else contextlib.nullcontext():
            found = [{row: start(*row, seconds) for row in ROWS} for _ in range(rounds)]
        rates = {row: {loop: median(each[row]["rates"][loop] for each in found) for loop in LOOPS} for row in ROWS}
        for row, measured in rates.items():
            shown = [f"{rate:.2f}" for rate in measured.values()]
            print(COLUMNS.format(state, *row, *shown, found[-1][row]["said"]).rstrip())
        for other in (("kept", "spinning"), ("returned", "chosen")):
            ratios = ", ".join(f"{loop} {rates['kept', 'chosen'][loop] / rates[other][loop]:.2f}" for loop in LOOPS)
            print(f"{state}: memory kept and chosen, over {' and '.join(other)}: {ratios}", flush=True)


@contextlib.contextmanager
def other_work(count: int) -> Iterator[None]:
    """Loops that never end."""
    command = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def start(memory: str, way: str, seconds: float) -> dict:
    """`measure` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment |= dict.fromkeys(COUNTS, str(THREADS)) | WAYS[way]
    choose = f"choose_waiting({THREADS}, Watch())" if way == "chosen" else "''"
    code = CHILD.format(choose=choose, keeps=memory == "kept", seconds=seconds)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def measure(said: str, keeps: bool, seconds: float) -> None:
    """Print what was chosen and every loop's steps a second."""
    from modescope.process import keep_freed_memory

    if keeps:
        keep_freed_memory()
    print(json.dumps({"said": said, "rates": {name: rate(run, seconds) for name, run in made_loops()}}))


def made_loops() -> Iterator[tuple[str, Callable[[int], None]]]:
    """`LOOPS`, each `run(steps)`, on noise."""
    from benchmarks.loops import steps_of

    for profile, loops in (("demo", LOOPS[:2]), ("standard", LOOPS[2:])):
        makers = trainings(profile)
        for name in loops:
            yield name, steps_of(makers[name](), "fp32")


def trainings(profile: str) -> dict[str, Callable[[], "Training"]]:
    """What makes a profile's trainings on noise, by loop."""
    import torch

    from modescope.config import parse_params, profile_values
    from modescope.training.cgan import cgan_training
    from modescope.training.gan import gan_training
    from modescope.training.two_stage import new_stage1, stage1_training
    from modescope.training.vae import vae_training

    params = parse_params(profile_values(profile), profile)
    colour, grey = (torch.randint(0, 256, (4096, *size), dtype=torch.uint8) for size in ((3, 32, 32), (1, 28, 28)))
    labels, first, seed = torch.arange(4096) % 10, params.stage1_config("stage1"), params.seed
    return {
        "gan": lambda: gan_training(params.imbalance.gan, colour, labels, seed),
        "gan-ours": lambda: gan_training(params.imbalance.gan_ours, colour, labels, seed),
        "vae": lambda: vae_training(params.imbalance.vae, colour, labels, seed),
        "dcgan": lambda: stage1_training(first, new_stage1(first, 3, 10), (colour, labels)),
        "cgan-bce": lambda: cgan_training(params.cgan.config("cgan-bce"), grey, labels, 10, seed),
        "cgan-wgan-gp": lambda: cgan_training(params.cgan.config("cgan-wgan-gp"), grey, labels, 10, seed),
    }


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

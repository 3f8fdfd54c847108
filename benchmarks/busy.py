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
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import typer

from modescope.threads import COUNTS, WAITING, Watch

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
LOOPS = ("cgan-wgan-gp", "imbalance-vae", "dcgan")  # the demo's first two, and the standard profile's stage 1
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
    from benchmarks.rates import rate
    from modescope.process import keep_freed_memory

    if keeps:
        keep_freed_memory()
    print(json.dumps({"said": said, "rates": {name: rate(run, seconds) for name, run in made_loops()}}))


def made_loops() -> Iterator[tuple[str, Callable[[int], None]]]:
    """`LOOPS`, each `run(steps)`, on noise."""
    from benchmarks.loops import of_profile, steps_of

    for profile, loops in (("demo", LOOPS[:2]), ("standard", LOOPS[2:])):
        makers = of_profile(profile)
        for name in loops:
            yield name, steps_of(makers[name](), "fp32")


if __name__ == "__main__":
    typer.run(main)

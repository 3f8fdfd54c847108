"""How soon a profile would be done with more workers: DVC's graph, every stage's seconds, and the order in which
`modescope repro` hands stages out.

python -m benchmarks.simulate        # a table, docs/images/simulation.png

A worker is two cores on their own (`standard`), or a GPU (`paper`); in a third case three stages share each GPU, and
take 3 / 1.7 times as long, as was measured under NVIDIA's Multi-Process Service.
"""

import contextlib
import heapq
import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.stage_seconds import on_cpu, on_gpu, trained
from modescope.config import load_params
from modescope.config.profiles import use_profile
from modescope.files import atomic_path
from modescope.parallel.graph import DONE, RUNNING, WAITING, Plan
from modescope.parallel.machine import Machine, Needs
from modescope.report.figures import SOFT_INK, render

WORKERS = (1, 2, 4, 8, 16, 32, 64)
OVERHEAD = 1.0  # seconds of handing a stage out and taking its results back
SHARING, GAIN = 3, 1.7  # stages on a GPU, and how much more they get done together
PICTURE = Path("docs/images/simulation.png")
COLOURS = ("#0072b2", "#d55e00", "#009e73")
WIDTHS = (4.5, 1.8, 1.8)  # the first two cases nearly coincide


@dataclass(frozen=True)
class Done:
    """A simulated run: its seconds from start to end, and those that all stages took together."""

    workers: int
    seconds: float
    work: float
    slots: int

    @property
    def idle(self) -> float:
        """The part of the workers' time in which they had nothing to do."""
        return 1 - self.work / (self.slots * self.seconds)


@dataclass(frozen=True)
class Case:
    """A profile on one kind of worker: seconds of its longest chain of stages, and a run for each number of workers."""

    name: str
    critical: float
    chain: list[str]
    runs: list[Done]


def simulate(plan: Plan, machine: Machine) -> float:
    """Seconds until every task of `plan` is done, whose `seconds` and `needs` are given."""
    for task in plan.tasks.values():
        task.state = WAITING
    clock, running = 0.0, []
    while plan.count(DONE) < len(plan.tasks):
        for task in plan.ready():
            gpus = machine.choose(task.needs)
            if gpus is not None:
                machine.give(task.needs, gpus)
                task.state = RUNNING
                heapq.heappush(running, (clock + task.seconds, task.name, gpus))
        clock, name, gpus = heapq.heappop(running)
        machine.give(plan.tasks[name].needs, gpus, sign=1)
        plan.tasks[name].state = DONE
    return clock


def case(name: str, plan: Plan, seconds: dict[str, float], workers_of: str, slots: int = 1) -> Case:
    """`plan` with 1 to 64 workers, each of which runs `slots` stages at a time."""
    for task in plan.tasks.values():
        task.seconds = seconds[task.name] + OVERHEAD
        task.needs = Needs(1, 0) if workers_of == "cores" else Needs(0, 1 / slots)
    plan.look_ahead({task.id: task.seconds for task in plan.tasks.values()})
    runs = []
    for count in WORKERS:
        gpus = {} if workers_of == "cores" else {f"{number:02}": 1.0 for number in range(count)}
        machine = Machine(count if workers_of == "cores" else math.inf, math.inf, gpus)
        runs.append(
            Done(count, simulate(plan, machine), sum(task.seconds for task in plan.tasks.values()), count * slots)
        )
    return Case(name, *plan.critical_path(), runs)


def cases() -> list[Case]:
    """The standard profile on CPUs, the paper profile on GPUs, alone and shared."""
    params, plan = load_profile("standard")
    found = [case("standard, two cores each", plan, on_cpu(plan.tasks, params), "cores")]
    params, plan = load_profile("paper")
    alone = on_gpu(plan.tasks, params)
    shared = {name: each * SHARING / GAIN if trained(name, params) else each for name, each in alone.items()}
    found.append(case("paper, a GPU each", plan, alone, "gpus"))
    found.append(case("paper, three stages a GPU", plan, shared, "gpus", SHARING))
    return found


def load_profile(name: str):
    """A profile's parameters, and DVC's graph of all its stages; this folder stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        for each in ("dvc.yaml", "params.yaml"):
            shutil.copy2(each, folder)
        shutil.copytree("profiles", Path(folder, "profiles"))
        Path(folder, ".dvc").mkdir()
        Path(folder, ".dvc/config").write_text("[core]\n no_scm = true\n analytics = false\n", encoding="utf-8")
        with contextlib.chdir(folder):
            use_profile(name)
            return load_params(), Plan.load()


def table(found: list[Case]) -> list[str]:
    """A row for each case and number of workers, with the speed-up against one worker of its profile."""
    lines = ["| profile | workers | hours | speed-up | idle |", "| :-- | --: | --: | --: | --: |"]
    for each in found:
        base = baseline(each, found)
        for run in each.runs:
            numbers = f"{run.seconds / 3600:.2f} | {base / run.seconds:.1f} | {run.idle:.0%}"
            lines.append(f"| {each.name} | {run.workers} | {numbers} |")
    return lines


def baseline(each: Case, found: list[Case]) -> float:
    """Seconds of the profile's first case on one worker."""
    return next(other.runs[0].seconds for other in found if other.name.split(",")[0] == each.name.split(",")[0])


def picture(found: list[Case]) -> bytes:
    """Speed-up with the bound that the longest chain sets, and idle time, by the number of workers; PNG."""

    def draw(figure: Figure) -> None:
        speed, idle = figure.subplots(1, 2)
        speed.plot(WORKERS, WORKERS, color=SOFT_INK, linestyle=":", linewidth=1, label="as many times as workers")
        for each, colour, width in zip(found, COLOURS, WIDTHS, strict=True):
            base, sizes = baseline(each, found), [run.workers for run in each.runs]
            look = {"color": colour, "marker": "o", "linewidth": width}
            speed.plot(sizes, [base / run.seconds for run in each.runs], label=each.name, **look)
            speed.axhline(base / each.critical, color=colour, linestyle="--", linewidth=0.8)
            idle.plot(sizes, [100 * run.idle for run in each.runs], **look)
        speed.set_yscale("log", base=2)
        speed.set_yticks(WORKERS, map(str, WORKERS))
        speed.set_title("Speed-up (dashed: the longest chain allows no more)")
        speed.legend()
        idle.set_title("Time in which workers have nothing to do, %")
        for axes in (speed, idle):
            _workers(axes)

    return render(draw, 11, 4.2)


def _workers(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(WORKERS, map(str, WORKERS))
    axes.minorticks_off()
    axes.set_xlabel("workers")


def main() -> None:
    found = cases()
    print("\n".join(table(found)))
    for each in found:
        stages, work = len(each.chain), each.runs[0].work / 3600
        print(
            f"{each.name}: {work:.1f} hours of work, longest chain of {stages} stages {each.critical / 3600:.2f} hours"
        )
        print("  " + " > ".join(each.chain))
    with atomic_path(PICTURE) as temporary:
        temporary.write_bytes(picture(found))


if __name__ == "__main__":
    main()

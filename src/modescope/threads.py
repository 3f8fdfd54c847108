"""A stage's threads: as many as params.yaml says, and how they wait for each other, by what else the machine does.

OpenMP reads both from the environment when torch loads, so they are settled before (`modescope.stages`).
"""

import contextlib
import math
import os
import sys
import time
from pathlib import Path

COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WAITING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}  # the last is Intel's
MOMENT = 0.2  # seconds of looking, at least; the kernel counts in hundredths
SPARE = 0.3  # cores that other work may take from threads that spin
CONTROL_GROUPS = Path("/sys/fs/cgroup")


class Watch:
    """What the machine does beside this process from now on."""

    def __init__(self):
        self.began, self.idle, self.own = _clocks()

    def free_cores(self) -> float:
        """How many cores this process could have had, of those that it may use and its control groups grant."""
        time.sleep(max(0.0, self.began + MOMENT - time.perf_counter()))
        now, idle, own = _clocks()
        return min((idle - self.idle + own - self.own) / (now - self.began), cpu_quota())


def _clocks() -> tuple[float, float, float]:
    """Seconds: now, of rest of the cores that this process may use, and of its own work.

    What its ancestors do belongs to it: DVC, or the driver, is at work for a moment around every stage's start.
    """
    import psutil

    cores = psutil.cpu_times(percpu=True)
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(cores))
    idle = sum(core.idle + getattr(core, "iowait", 0.0) for number, core in enumerate(cores) if number in mine)
    own = time.process_time()
    with contextlib.suppress(psutil.Error):
        own += sum(sum(ancestor.cpu_times()[:2]) for ancestor in psutil.Process().parents())
    return time.perf_counter(), idle, own


def cpu_quota(root: Path = CONTROL_GROUPS, own: Path = Path("/proc/self/cgroup")) -> float:
    """Cores that the control groups of this process grant it; infinite where none sets a limit."""
    found = [math.inf]
    for line in own.read_text(encoding="utf-8").splitlines() if own.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):  # version 2 names none
            top = root / controllers
            group = top / path.lstrip("/")
            found += [_quota(place) for place in (group, *group.parents) if place.is_relative_to(top)]
    return min(found)


def _quota(group: Path) -> float:
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        if all((group / name).exists() for name in names):
            quota, period = " ".join((group / name).read_text(encoding="utf-8") for name in names).split()
            return math.inf if quota in ("max", "-1") else int(quota) / int(period)
    return math.inf


def settle_threads() -> None:
    """Set the environment of a stage that is about to load torch. Raises UserError for params.yaml."""
    watch = Watch()
    from modescope.config import load_params  # slow: the machine is watched meanwhile

    count = load_params().threads
    fix_threads(count)
    if count > 1 and not WAITING & os.environ.keys():
        print(choose_waiting(count, watch))


def fix_threads(count: int) -> None:
    """What is computed by so many threads has the same last digits everywhere, if torch is loaded after this."""
    os.environ |= dict.fromkeys(COUNTS, str(count))


def choose_waiting(count: int, watch: Watch) -> str:
    """Let `count` threads wait for each other asleep where other work would keep them from running all at once.

    Threads that spin are fastest where each has a core. Where not, one spins while the other, for which it waits, has
    no core: steps take tens of times as long (docs/performance.md).

    Returns:
        what was chosen and why, in one line.
    """
    free = watch.free_cores()
    spinning = free >= count - SPARE
    if not spinning:
        os.environ["OMP_WAIT_POLICY"] = "passive"
    how = "spinning" if spinning else "asleep (OMP_WAIT_POLICY=passive)"
    return f"{free:.1f} cores are free: {count} threads wait for each other {how}"


def tell_torch() -> None:
    """Hold torch to the environment's threads, if it is loaded: alone it takes no more than there are cores."""
    count = os.environ.get(COUNTS[0], "")
    if "torch" in sys.modules and count.isdecimal():
        sys.modules["torch"].set_num_threads(int(count))

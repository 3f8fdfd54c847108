"""Kill workers, nodes and drivers of `modescope repro --on ray` at random moments: files must end as a serial run's.

    python -m benchmarks.kills_on_ray --tries 20 --seed 0

Three nodes of one core on this machine without a common folder; DVC's remote is a folder. A training sleeps two seconds
and dies with its worker. A node that was killed is started again for the next try.
"""

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import psutil

from benchmarks.clones import environment, run
from benchmarks.side_by_side import OURS, repository

SECONDS_TO_START, SECONDS_TO_END = 120, 240
RAY = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
WORK = """
for i in $(seq 20); do sleep 0.1; done
mkdir -p models/$1 metrics
cat seed.txt params.yaml > models/$1/w
echo '{"fid": 1}' > metrics/$1.json
echo $1 >> $DVC_ROOT/../../ended
"""
ROWS = "abcdef"
STAGES = {
    f"train-{row}": {
        "cmd": f"exec setpriv --pdeathsig KILL sh work.sh {row}",
        "deps": ["seed.txt", "work.sh"],
        "params": ["lr"],
        "outs": [f"models/{row}", {f"metrics/{row}.json": {"cache": False}}],
    }
    for row in ROWS
}
STAGES["page"] = {"cmd": "cat models/*/w > page", "deps": [f"models/{row}" for row in ROWS], "outs": ["page"]}


class Cluster:
    """A Ray cluster on this machine whose node N works in `folder`/nodeN."""

    def __init__(self, folder: Path, sockets: str):
        self.folder, self.sockets, self.nodes = folder, sockets, {}
        self.head, self.client = _free_port(), _free_port()
        self.address = f"ray://127.0.0.1:{self.client}"

    def start(self, number: int) -> None:
        """Start node `number`, the head if 0, and wait until it has begun."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--node-ip-address=127.0.0.1", "--block"]
        command += ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
        if number == 0:
            command += ["--head", f"--port={self.head}", f"--ray-client-server-port={self.client}"]
            command += ["--include-dashboard=false", f"--temp-dir={self.sockets}"]
        else:
            command.append(f"--address=127.0.0.1:{self.head}")
        log, settings = self.folder / f"node{number}.log", {"MODESCOPE_SCRATCH": str(self.folder / f"node{number}")}
        with open(log, "w", encoding="utf-8") as output:
            node = subprocess.Popen(command, env=os.environ | RAY | settings, stdout=output, stderr=output)
        self.nodes[number] = node
        deadline = time.monotonic() + SECONDS_TO_START
        while "Ray runtime started" not in log.read_text(encoding="utf-8"):
            assert node.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.2)

    def kill(self, number: int) -> None:
        """kill -9 of a node, with all that it started."""
        node = psutil.Process(self.nodes[number].pid)
        _kill_all([*node.children(recursive=True), node])
        self.nodes[number].wait(SECONDS_TO_END)

    def workers(self) -> list[psutil.Process]:
        """Ray's processes that run a stage now."""
        found = []
        for node in self.nodes.values():
            for each in psutil.Process(node.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if any("work.sh" in " ".join(child.cmdline()) for child in each.children()):
                        found.append(each)
        return found

    def end(self) -> None:
        for node in self.nodes.values():
            node.terminate()
        for node in self.nodes.values():
            node.wait(SECONDS_TO_END)


@contextlib.contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[Cluster]:
    """Ends with its `with` block."""
    with tempfile.TemporaryDirectory(prefix="ray") as sockets:  # their paths must be short
        made = Cluster(folder, sockets)
        try:
            for number in range(nodes):
                made.start(number)
            yield made
        finally:
            made.end()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _kill_all(processes: list[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def begin(folder: Path, address: str) -> subprocess.Popen:
    with open(folder.with_suffix(".log"), "a", encoding="utf-8") as output:
        command, settings = ["modescope", "repro", "--on", address], environment(folder, **OURS, **RAY)
        return subprocess.Popen(command, cwd=folder, env=settings, stdout=output, stderr=output)


def disturb(what: str, driver: subprocess.Popen, nodes: Cluster, number: int) -> bool:
    """Kill a worker, a node or the driver; whether there was one."""
    if driver.poll() is not None:
        return False
    if what == "worker":
        workers = nodes.workers()
        _kill_all(workers[:1])
        return bool(workers)
    if what == "node":
        nodes.kill(number)
    else:
        driver.send_signal(signal.SIGKILL)
    return True


def made(folder: Path) -> dict[str, bytes]:
    """What the pipeline made: all files that were not there before, and dvc.lock."""
    found = [*folder.glob("dvc.lock"), *folder.glob("page"), *folder.glob("m*/*"), *folder.glob("models/*/*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def attempt(folder: Path, nodes: Cluster, what: str, moment: float, number: int) -> tuple[bool, float]:
    """Whether something was killed at this moment of a run, which then was brought to its end, and seconds of all."""
    began, driver = time.monotonic(), begin(folder, nodes.address)
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.wait(moment)
    killed = disturb(what, driver, nodes, number)
    code = driver.wait(SECONDS_TO_END)
    if code:
        assert what == "driver", f"{what}: exit code {code}\n{folder.with_suffix('.log').read_text(encoding='utf-8')}"
        assert begin(folder, nodes.address).wait(SECONDS_TO_END) == 0
    return killed, time.monotonic() - began


def measure(folder: Path, tries: int, seed: int) -> bool:
    """Print a line per try; whether each left what a serial run leaves."""
    template = repository(folder / "projects/template", STAGES, **{"work.sh": WORK})
    run("dvc remote add -q -d there ../remote && git commit -qam remote", template)
    serial = copytree(template, folder / "projects/serial")
    run("dvc repro -q", serial)
    expected, moments, same, whole = made(serial), random.Random(seed), [], 0.0
    ended = folder / "nodes/ended"
    (folder / "nodes").mkdir(exist_ok=True)
    with cluster(folder / "nodes") as nodes:
        number = kills = 0
        while kills < tries and number < 5 * tries:  # the first is not disturbed
            place, what = copytree(template, folder / f"projects/try{number}"), ("driver", "worker", "node")[number % 3]
            for left in (folder / "projects/remote", ended):
                run(f"rm -rf {left}", folder)
            victim = 1 + number // 3 % 2
            moment = moments.uniform(0.3, 1.0) * whole if number else SECONDS_TO_END
            killed, seconds = attempt(place, nodes, what, moment, victim)
            whole = whole if killed else seconds  # the machine may be less busy by now
            if nodes.nodes[victim].poll() is not None:
                nodes.start(victim)
            twice = [row for row, count in Counter(ended.read_text(encoding="utf-8").split()).items() if count > 1]
            same.append(made(place) == expected)
            how = f"{what} killed at {moment:.1f} s" if killed else "undisturbed"
            result = "same" if same[-1] else "DIFFERENT"
            print(f"{number:2d} {how}: {result} after {seconds:.1f} s; twice: {twice}", flush=True)
            number, kills = number + 1, kills + killed
    return all(same)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=20, help="that hit something")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if measure(Path(folder).resolve(), given.tries, given.seed) else 1)


if __name__ == "__main__":
    main()

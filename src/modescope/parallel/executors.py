"""Executors: where slices run. `Local` has the processes of this machine; `on_ray.Ray` those of a cluster."""

import contextlib
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dvc.exceptions import DvcException

from modescope.errors import UserError
from modescope.files import read_json, write_json
from modescope.parallel import slices, warm
from modescope.parallel.machine import Machine, Needs
from modescope.process import die_with_parent, disk_trouble, stop_on_signals

SECONDS_TO_CLOSE = 30  # a stage's, to write down that it was stopped
TRIES = 4  # of a stage whose worker was killed
TAIL = 2000  # characters of a stage's output that are shown


class Outcome(NamedTuple):
    """How a task ended: `error` is empty if well. `is_users` for what the user can mend, say a full disk."""

    task: str
    error: str = ""
    is_users: bool = False
    tail: str = ""
    entry: dict[str, Any] | None = None


class Home(NamedTuple):
    """The driver's repository, its folder for what lives as long as one command, and the snapshot in it."""

    root: Path
    folder: Path

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshot"


class Executor(Protocol):
    """Runs slices, each with its own share of a machine."""

    remote: bool  # results come through DVC's default remote, not through the driver's cache
    jobs: int  # at most so many at a time

    def check(self, name: str, needs: Needs) -> None:
        """Raises UserError where no machine has what the stage needs."""

    def fits(self, needs: Needs) -> bool:
        """Whether such a stage would start at once."""

    def start(self, work: slices.Slice, needs: Needs) -> None: ...

    def finished(self, seconds: float) -> list[Outcome]:
        """Wait until a stage has ended, at most so many seconds."""

    def running(self) -> dict[str, tuple[str, str]]:
        """Task -> where it runs and the last line that it printed."""

    def stop(self, task: str) -> None:
        """End a task; what it has saved stays, and its outcome is an error."""

    def close(self) -> None:
        """End every stage that still runs; what it has saved stays."""


def attempt(
    work: slices.Slice, home: Home, folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str]
) -> Outcome:
    """Run a slice in this process, in `folder`, which is removed afterwards; nothing is raised."""
    try:
        return Outcome(work.id, entry=slices.run(work, home.snapshot, folder, settings, environment))
    except Exception as error:
        line = disk_trouble(error) or (str(error) if isinstance(error, UserError) else None)
        if line is None and not isinstance(error, DvcException):
            traceback.print_exc()
        return Outcome(work.id, line or str(error) or type(error).__name__, line is not None)
    finally:
        os.chdir(home.root)
        for place in (folder, folder.with_name(f"{folder.name}.state")):
            shutil.rmtree(place, ignore_errors=True)


def stage_environment(root: Path, gpus: str | None) -> dict[str, str]:
    """Checkpoints and runs go to the repository `root`; a stage without a GPU must see none.

    Args:
        gpus: as `CUDA_VISIBLE_DEVICES` has them; None leaves that as it is.
    """
    return {"DVC_ROOT": str(root)} | ({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def read_tail(log: Path) -> str:
    """The end of what a stage printed."""
    with contextlib.suppress(OSError), open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - TAIL))
        return file.read().decode("utf-8", errors="replace")
    return ""


class Local:
    """Processes of this machine, at most `jobs` at a time, that share the driver's cache.

    Each is a fork of one that has imported what it needs: this one has DVC, `warm.Forks` makes another.
    """

    remote = False

    def __init__(self, home: Home, jobs: int | None, cache: str):
        self.home, self.cache = home, cache
        self.all, self.free = Machine.here(), Machine.here()
        self.jobs = jobs or max(1, int(self.all.cpus))
        self._forks = warm.Forks(home.folder)
        self._jobs: dict[str, _Job] = {}

    def check(self, name: str, needs: Needs) -> None:
        lack = self.all.refusal(needs)
        if lack:
            raise UserError(f"stage {name} needs {lack} on this machine: change its `meta` in dvc.yaml")

    def fits(self, needs: Needs) -> bool:
        return len(self._jobs) < self.jobs and self.free.choose(self.all.within(needs)) is not None

    def start(self, work: slices.Slice, needs: Needs) -> None:
        needs = self.all.within(needs)
        job = _Job(work, needs, self.free.choose(needs) or [], self.home.folder / work.folder)
        self.free.give(needs, job.gpus)
        self._jobs[work.id] = job
        self._fork(job)

    def _fork(self, job: "_Job") -> None:
        job.tries += 1
        environment = stage_environment(self.home.root, ",".join(job.gpus) if self.all.gpus else None)
        arguments = (job.work, self.home, job.place, {"cache": {"dir": self.cache}}, {**os.environ, **environment})
        job.process = self._forks.context(job.work.pipeline).Process(target=_work, args=arguments)
        job.process.start()

    def finished(self, seconds: float) -> list[Outcome]:
        by_sentinel = {job.process.sentinel: job for job in self._jobs.values()}
        ended = [by_sentinel[each] for each in connection.wait(by_sentinel, seconds)]
        return [outcome for job in ended if (outcome := self._end(job)) is not None]

    def _end(self, job: "_Job") -> Outcome | None:
        """The outcome of a process that has ended; None where it was killed, and is started once more."""
        job.process.join()
        if not job.result.exists() and job.tries < TRIES:
            shutil.rmtree(job.place, ignore_errors=True)
            self._fork(job)
            return None
        died = Outcome(job.work.id, f"its worker died {TRIES} times, the last time with code {job.process.exitcode}")
        outcome = Outcome(**read_json(job.result)) if job.result.exists() else died
        del self._jobs[job.work.id]
        self.free.give(job.needs, job.gpus, 1)
        return outcome._replace(tail=read_tail(job.log))

    def running(self) -> dict[str, tuple[str, str]]:
        return {
            name: (" ".join(["gpu", *job.gpus]) if job.gpus else "cpu", last_line(read_tail(job.log)))
            for name, job in self._jobs.items()
        }

    def stop(self, task: str) -> None:
        self._jobs[task].tries = TRIES
        _signal(self._jobs[task].process, signal.SIGTERM)

    def close(self) -> None:
        processes = [job.process for job in self._jobs.values()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                _signal(process, number)
            deadline = time.monotonic() + SECONDS_TO_CLOSE
            for process in processes:
                process.join(max(0.0, deadline - time.monotonic()))
        self._jobs.clear()


@dataclass
class _Job:
    """A slice at work: its share of the machine, its folder, its process."""

    work: slices.Slice
    needs: Needs
    gpus: list[str]
    place: Path
    tries: int = 0
    process: Any = None

    @property
    def log(self) -> Path:
        return self.place.with_name(f"{self.place.name}.log")

    @property
    def result(self) -> Path:
        return self.place.with_name(f"{self.place.name}.json")


def _signal(process: Any, number: int) -> None:
    """To a worker and its stage; to itself alone while it leads no group yet."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number) if os.getpgid(process.pid) == process.pid else process.terminate()


def _work(work: slices.Slice, home: Home, place: Path, settings: Mapping[str, Any], environment: Mapping[str, str]):
    """The life of a worker: leader of a process group of its own, so that the stage ends with it."""
    os.setsid()
    die_with_parent()
    stop_on_signals()
    log = os.open(place.with_name(f"{place.name}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    logging.getLogger("dvc").setLevel(logging.INFO)
    warm.start_stages()
    outcome = attempt(work, home, place, settings, environment)
    sys.stdout.flush()
    write_json(place.with_name(f"{place.name}.json"), outcome._asdict())

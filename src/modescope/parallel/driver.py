"""The driver: hands out a stage when all that it depends on is there, and records the results as `dvc repro` would."""

import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from dvc.exceptions import DvcException

from modescope.errors import UserError
from modescope.mlflow.filing import sync
from modescope.parallel.board import Board
from modescope.parallel.executors import Executor, Home, Local, Outcome, last_line
from modescope.parallel.graph import RUNNING, Plan, Task
from modescope.parallel.slices import cut, take_snapshot
from modescope.runs.locks import try_lock

FOLDER = Path(".dvc/tmp/parallel")
FAILED_AS_DVC = 255  # the exit code of `dvc repro` when a stage fails


def repro(targets: Sequence[str] = (), jobs: int | None = None, on: str | None = None) -> int:
    """Run what `targets` (default: all stages) need, side by side; the files end as `dvc repro` leaves them.

    Args:
        jobs: stages at a time, at most; as many as there are cores by default, and never more threads than cores.
        on: None for this machine; `ray` or `ray://HOST:PORT` for a cluster.

    Returns:
        the exit code.

    Raises:
        UserError: bad arguments, another driver is at work here, or a fault that the user can mend.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"-j {jobs}: at least one stage must run at a time")
    if not Path(".dvc").is_dir():
        raise UserError("no .dvc/ here: `modescope repro` runs in the root of the repository")
    logging.getLogger("dvc").setLevel(logging.WARNING)
    with alone(FOLDER) as folder:
        plan = Plan.load(targets)
        workers = executor(Home(Path(plan.repo.root_dir), folder), plan, jobs, on)
        with closing(workers):
            for task in plan.tasks.values():
                workers.check(task.name, task.needs)
            try:
                plan.ignore_outputs()
                if workers.remote:
                    plan.fetch_runs()
            except DvcException as error:
                raise UserError(f"DVC refuses: {error}") from None
            return Driver(plan, workers).run(folder)


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """The driver's folder, empty; raises UserError while another driver of this repository lives."""
    folder = folder.resolve()
    held = try_lock(folder.with_name(f"{folder.name}.lock"))
    if held is None:
        raise UserError("another `modescope repro` is at work in this folder: wait for it, or stop it")
    with held:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder


def executor(home: Home, plan: Plan, jobs: int | None, on: str | None) -> Executor:
    """The executor that `--on` names."""
    if on is None:
        return Local(home, jobs or os.cpu_count() or 1, plan.repo.cache.legacy.path)
    if on != "ray" and not re.fullmatch(r"ray://[^/:]+:\d+", on):
        raise UserError(f"--on {on}: it is ray, or ray://HOST:PORT")
    if importlib.util.find_spec("ray") is None:
        raise UserError("--on ray: Ray is not installed, `pip install 'modescope[ray]'` installs it")
    from modescope.parallel.on_ray import Ray

    return Ray(home, jobs, plan.repo, on)


class Driver:
    """One run of a plan."""

    def __init__(self, plan: Plan, workers: Executor):
        self.plan, self.workers, self.board = plan, workers, Board(plan, workers)
        self.faults: list[str] = []

    def run(self, folder: Path) -> int:
        """Until nothing can run any more; however it ends, no stage lives on, and what was done is recorded."""
        self.snapshot = folder / "snapshot"
        try:
            with self.board:
                self.advance()
                while self.plan.count(RUNNING):
                    for outcome in self.workers.finished(1.0):
                        self.advance()  # its worker is free already
                        self.take(outcome)
                    self.advance()
                    self.board.refresh()
        finally:
            self.workers.close()
            self.plan.record()
            if self.plan.remote:  # workers filed their runs elsewhere
                sync()
            print("\n".join(self.board.summary()), flush=True)
        if self.faults:
            raise UserError(self.faults[0])
        return FAILED_AS_DVC if self.plan.count("failed") else 0

    def advance(self) -> None:
        """Settle what need not run, start what can, until neither changes anything."""
        moved = True
        while moved:
            moved = False
            for task in self.plan.ready():
                moved = self.settled(task) or (self.workers.fits(task.needs) and self.started(task)) or moved

    def settled(self, task: Task) -> bool:
        """Whether the task is over without being run: up to date, cached, or impossible."""
        if task.must_run:
            return False
        try:
            task.must_run = not self.plan.settle(task)
        except DvcException as error:
            self.lose(task, Outcome(task.name, str(error)))
            return True
        if not task.must_run:
            self.board.ended(task)
        return not task.must_run

    def started(self, task: Task) -> bool:
        if not self.snapshot.exists():
            take_snapshot(self.plan.repo, self.snapshot)
        upstream = [self.plan.tasks[name].stage for name in task.upstream]
        self.workers.start(cut(task.stage, upstream, self.workers.remote), task.needs)
        task.state = RUNNING
        self.board.started(task)
        return True

    def take(self, outcome: Outcome) -> None:
        """Adopt what a worker brought, or say why it brought nothing."""
        task = self.plan.tasks[outcome.name]
        if outcome.error:
            return self.lose(task, outcome)
        try:
            self.plan.adopt(task, outcome.entry)
        except (DvcException, UserError) as error:
            return self.lose(task, Outcome(task.name, str(error), isinstance(error, UserError)))
        self.board.ended(task, last_line(outcome.tail))

    def lose(self, task: Task, outcome: Outcome) -> None:
        if outcome.is_users:
            self.faults.append(f"{task.name}: {outcome.error}")
        self.board.failed(task, outcome.error, outcome.tail, self.plan.fail(task))

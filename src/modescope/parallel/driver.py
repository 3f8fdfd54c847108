"""The driver: hands out a stage when all that it depends on is there, and records the results as `dvc repro` would."""

import contextlib
import importlib.util
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from dvc.exceptions import DvcException
from dvc.repo import Repo

from modescope.errors import UserError
from modescope.mlflow.filing import sync
from modescope.parallel.board import Board
from modescope.parallel.executors import Executor, Home, Local, Outcome, last_line
from modescope.parallel.graph import FAILED, RUNNING, Plan, Task, record, refusals
from modescope.parallel.slices import cut, refuse_dirty_submodules, take_snapshot
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
    with Driver.prepared(jobs, on) as driver:
        driver.admit(Plan.load(targets))
        return driver.run()


@contextlib.contextmanager
def alone(folder: Path, jobs: int | None = None) -> Iterator[Path]:
    """The driver's folder, empty; raises UserError while another driver of this repository lives."""
    if jobs is not None and jobs < 1:
        raise UserError(f"-j {jobs}: at least one stage must run at a time")
    if not Path(".dvc").is_dir():
        raise UserError("no .dvc/ here: `modescope repro` and `sweep` run in the root of the repository")
    logging.getLogger("dvc").setLevel(logging.WARNING)
    logging.getLogger("dvc_data").setLevel(logging.ERROR)  # it warns of outputs that nobody has made yet
    folder = folder.resolve()
    held = try_lock(folder.with_name(f"{folder.name}.lock"))
    if held is None:
        raise UserError("another `modescope repro` is at work in this folder, or a sweep: wait for it, or stop it")
    with held:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder


def executor(home: Home, repo: Repo, jobs: int | None, on: str | None) -> Executor:
    """The executor that `--on` names."""
    if on is None:
        return Local(home, jobs, repo.cache.legacy.path)
    if on != "ray" and not re.fullmatch(r"ray://[^/:]+:\d+", on):
        raise UserError(f"--on {on}: it is ray, or ray://HOST:PORT")
    if importlib.util.find_spec("ray") is None:
        raise UserError("--on ray: Ray is not installed, `pip install -e '.[ray]'` installs it")
    from modescope.parallel.on_ray import Ray

    return Ray(home, jobs, repo, on)


class Driver:
    """One run of the stages that it has admitted.

    Attributes:
        stack: of what ends with the driver.
    """

    def __init__(self, repo: Repo, workers: Executor, home: Home, stack: contextlib.ExitStack):
        refuse_dirty_submodules(repo)
        self.plan, self.workers, self.home, self.stack = Plan(repo), workers, home, stack
        self.board, self.faults = Board(self.plan, workers), []

    @classmethod
    @contextlib.contextmanager
    def prepared(cls, jobs: int | None, on: str | None, **more: Any) -> Iterator[Self]:
        """A `with` block around a driver; no stage outlives it. `more` is for the constructor of a subclass."""
        with alone(FOLDER, jobs) as folder, refusals(), contextlib.ExitStack() as stack:
            repo, home = Repo(), Home(Path.cwd(), folder)
            workers = stack.enter_context(contextlib.closing(executor(home, repo, jobs, on)))
            yield cls(repo, workers, home, stack, **more)

    def admit(self, plan: Plan) -> None:
        """Take over a plan's tasks. Raises UserError where no machine has what one needs."""
        for task in plan.tasks.values():
            self.workers.check(task.name, task.needs)
        with refusals():
            plan.ignore_outputs()
        self.plan.tasks |= plan.tasks

    def run(self) -> int:
        """Until nothing can run any more; however it ends, no stage lives on, and what was done is recorded.

        Returns:
            the exit code.
        """
        try:
            if self.workers.remote:
                with refusals():
                    self.plan.fetch_runs()
            with self.board:
                self.advance()
                while self.plan.count(RUNNING) or self.has_more():
                    for outcome in self.workers.finished(1.0):
                        self.advance()  # its worker is free already
                        self.take(outcome)
                    self.advance()
                    self.board.refresh()
        finally:
            self.workers.close()
            self.end()
            if self.plan.tasks:
                print("\n".join(self.board.summary()), flush=True)
        if self.faults:
            raise UserError(self.faults[0])
        return FAILED_AS_DVC if self.plan.count(FAILED) else 0

    def has_more(self) -> bool:
        """Whether there is more to do than to run the tasks that are admitted."""
        return False

    def end(self) -> None:
        """Record what was done."""
        record(self.plan.tasks.values())
        if self.plan.remote:  # workers filed their runs elsewhere
            sync()

    def advance(self) -> None:
        """Settle what need not run, start what can, until neither changes anything."""
        moved = True
        while moved:
            moved = False
            for task in self.plan.ready():
                moved = self.settled(task) or (self.can_start(task) and self.started(task)) or moved

    def settled(self, task: Task) -> bool:
        """Whether the task is over without being run: up to date, cached, or impossible."""
        first = self.plan.first.get(task.key)
        if task.key and (first is None or first.state == RUNNING):
            return False
        try:
            if not self.plan.settle(task):
                return False
        except DvcException as error:
            self.lose(task, Outcome(task.id, str(error)))
        else:
            self.board.ended(task)
        return True

    def can_start(self, task: Task) -> bool:
        return task.key not in self.plan.first and self.workers.fits(task.needs)

    def started(self, task: Task) -> bool:
        if not self.home.snapshot.exists():
            take_snapshot(task.stage.repo, self.home.snapshot)
        upstream = [self.plan.tasks[each].stage for each in task.upstream]
        with contextlib.chdir(task.stage.repo.root_dir):  # DVC takes some paths relative to the working folder
            work = cut(task.stage, upstream, self.workers.remote, task.variant)
        self.workers.start(work, task.needs)
        self.plan.first[task.key] = task
        task.state = RUNNING
        self.board.started(task)
        return True

    def take(self, outcome: Outcome) -> None:
        """Adopt what a worker brought, or say why it brought nothing."""
        task = self.plan.tasks[outcome.task]
        if outcome.error:
            return self.lose(task, outcome)
        try:
            self.plan.adopt(task, outcome.entry)
        except (DvcException, UserError) as error:
            return self.lose(task, Outcome(task.id, str(error), isinstance(error, UserError)))
        self.board.ended(task, last_line(outcome.tail))

    def lose(self, task: Task, outcome: Outcome) -> None:
        if outcome.is_users:
            self.faults.append(f"{task.id}: {outcome.error}")
        self.board.failed(task, outcome.error, outcome.tail, self.plan.fail(task))

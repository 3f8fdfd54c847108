"""`modescope sweep`: the points of a grid as DVC experiments; a stage that several of them share runs once.

DVC makes every point's workspace, as for `dvc exp run --temp`, and records it. In between the stages of all points run
side by side, and what they make is put where DVC finds everything up to date.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.repo.experiments.executor.local import TempDirExecutor
from dvc.repo.experiments.refs import ExpRefInfo
from dvc.repo.experiments.utils import get_random_exp_name
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from modescope.errors import UserError
from modescope.files import read_json, write_json
from modescope.mlflow.filing import sync
from modescope.parallel.driver import FOLDER, Driver, alone, executor
from modescope.parallel.executors import Executor, Home
from modescope.parallel.graph import DONE, RUNNING, WAITING, Plan, Task, record, refusals
from modescope.parallel.slices import LINKS, Variant
from modescope.runs.git import git

NAMES = Path(".dvc/tmp/sweep.json")  # digest of a point -> name of its experiment
Overrides = Mapping[str, list[str]]  # file -> what `-S` says of it


def sweep(settings: Sequence[str], targets: Sequence[str] = (), jobs: int | None = None, on: str | None = None) -> int:
    """Run every point of a grid, and record each as an experiment as soon as it is done.

    Args:
        settings: as `dvc exp run -S` takes them: `lr=0.1,0.5`.
        targets, jobs, on: as for `repro`, of each point.

    Returns:
        the exit code.

    Raises:
        UserError: bad arguments, before anything runs, or as for `repro`.
    """
    with alone(FOLDER, jobs) as folder, refusals():
        repo, grid = Repo(), read_grid(settings)
        baseline = repo.experiments.scm.get_rev()
        names = {name_of(repo, baseline, overrides, targets): overrides for overrides in grid}
        known = [name for name in names if repo.scm.get_ref(str(ExpRefInfo(baseline, name)))]
        for name in known:
            print(f"{name}: recorded already, {shown(names.pop(name))}")
        if not names:
            return 0
        with contextlib.ExitStack() as stack:
            points = [stack.enter_context(opened(repo, name, each, targets)) for name, each in names.items()]
            plan = Plan(points[0].plan.repo, {key: task for point in points for key, task in point.plan.tasks.items()})
            home = Home(Path.cwd(), folder)
            with contextlib.closing(executor(home, plan.repo, jobs, on)) as workers:
                return Sweep(plan, workers, home, points).run()


def read_grid(settings: Sequence[str]) -> list[Overrides]:
    """The points that `settings` span. Raises UserError where one cannot be applied to its file of parameters."""
    try:
        grid = get_hydra_sweeps(to_path_overrides(settings)) if settings else []
        for point in grid:
            for file in point:
                apply_to_copy(Path(file), point[file])
    except Exception as error:  # Hydra's own, some of which DVC passes on
        raise UserError(f"-S {' -S '.join(settings)}: {error.__cause__ or error}") from None
    if not grid:
        raise UserError("what shall vary? Say it, as in: modescope sweep -S 'ce_loss_weight=0.1,0.5'")
    return grid


def apply_to_copy(file: Path, settings: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        apply_overrides(shutil.copy2(file, folder), list(settings))


def shown(overrides: Overrides) -> str:
    return ", ".join(setting for settings in overrides.values() for setting in settings)


def name_of(repo: Repo, baseline: str, overrides: Overrides, targets: Sequence[str]) -> str:
    """DVC's random words, the same ones whenever this point of this working tree is asked for."""
    changes = git(Path(), "diff", "--no-ext-diff", "--binary", "HEAD")
    digest = hashlib.sha256(repr((baseline, changes, dict(overrides), [*targets])).encode()).hexdigest()
    names = read_json(NAMES) if NAMES.exists() else {}
    if digest not in names:
        names[digest] = get_random_exp_name(repo.scm, baseline)
        write_json(NAMES, names)
    return names[digest]


@dataclass
class Point:
    """One experiment: DVC's entry of it in its queue, the workspace, and the stages there."""

    overrides: Overrides
    entry: Any
    workspace: TempDirExecutor
    plan: Plan
    recorded: bool = False

    @property
    def name(self) -> str:
        return self.entry.name

    def has(self, *states: str) -> bool:
        return any(task.state in states for task in self.plan.tasks.values())


@contextlib.contextmanager
def opened(repo: Repo, name: str, overrides: Overrides, targets: Sequence[str]) -> Iterator[Point]:
    """A point in a workspace of its own, which is gone afterwards; it begins as `dvc exp run --temp` would."""
    experiments, queue = repo.experiments, repo.experiments.tempdir_queue
    with lock_repo(repo):
        entry = experiments.queue_one(queue, params=overrides, targets=[*targets] or None, name=name)
        workspace = queue.init_executor(experiments, entry, TempDirExecutor, wdir=queue._standalone_tmp_dir)
    try:
        workspace._update_config({"cache": {"type": ",".join(LINKS)}})
        with contextlib.chdir(workspace.root_dir):
            Repo().checkout(targets or None, with_deps=bool(targets), force=True, allow_missing=True)
            files = {file: Path(file).read_text(encoding="utf-8") for file in overrides}
            names = {"DVC_EXP_NAME": name, "DVC_EXP_BASELINE_REV": entry.baseline_rev}
            plan = Plan.load(targets, Variant(name, files, names))
        yield Point(overrides, entry, workspace, plan)
    finally:
        shutil.rmtree(workspace.root_dir, ignore_errors=True)
        shutil.rmtree(Path(experiments.celery_queue.get_infofile_path(entry.stash_rev)).parent, ignore_errors=True)


class Sweep(Driver):
    """A driver that records a point once nothing of it is left to do."""

    def __init__(self, plan: Plan, workers: Executor, home: Home, points: list[Point]):
        super().__init__(plan, workers, home)
        self.points = points

    def advance(self) -> None:
        super().advance()
        for point in self.points:
            if not point.recorded and not point.has(WAITING, RUNNING):
                self.record(point)

    def record(self, point: Point) -> None:
        """Let DVC make an experiment of a point's workspace; without all stages it makes none."""
        point.recorded = True
        tasks: list[Task] = [*point.plan.tasks.values()]
        if any(task.state != DONE for task in tasks):
            return self.board.say(f"{point.name}: not recorded, since stages failed: {shown(point.overrides)}")
        record(tasks)
        if self.plan.remote:  # workers filed their runs elsewhere
            sync(Path(point.workspace.root_dir))
        try:
            Repo().experiments.tempdir_queue._reproduce_entry(point.entry, point.workspace)
        except DvcException as error:
            self.faults.append(f"DVC cannot record {point.name}: {error}")
        else:
            self.board.say(f"{point.name}: recorded, {shown(point.overrides)}")

    def end(self) -> None:
        """Every point has been recorded as soon as it was done."""

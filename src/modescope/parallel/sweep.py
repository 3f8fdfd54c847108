"""`modescope sweep`: the points of a grid as DVC experiments; a stage that several of them share runs once.

DVC makes every point's workspace, as for `dvc exp run --temp`. The stages of all points run side by side, and what they
make there is committed as DVC would have committed it.
"""

import contextlib
import hashlib
import multiprocessing
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dvc.repo import Repo, lock_repo
from dvc.repo.experiments.executor.base import ExecutorResult
from dvc.repo.experiments.executor.local import TempDirExecutor
from dvc.repo.experiments.refs import EXEC_BRANCH, ExpRefInfo
from dvc.repo.experiments.utils import get_random_exp_name
from dvc.stage.utils import _get_stage_files
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from modescope.errors import UserError
from modescope.files import PARAMS, read_json, write_json
from modescope.mlflow.filing import sync
from modescope.parallel.driver import Driver
from modescope.parallel.graph import DONE, RUNNING, WAITING, Plan, Task, record, refusals
from modescope.parallel.slices import LINKS, Variant
from modescope.process import exit_readably
from modescope.runs.git import git

NAMES = Path(".dvc/tmp/sweep.json")  # digest of a point -> name of its experiment
BASIS = ("src", "dvc.yaml", str(PARAMS))  # what all points of a sweep must have in common, but for their settings
RANGE = re.compile(r"([^=]+)=(-?[\d.]+?(?:e-?\d+)?)\.\.(-?[\d.]+?(?:e-?\d+)?)(:log)?")  # NAME=A..B or NAME=A..B:log
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
    grid = read_grid(settings)
    with Sweep.prepared(jobs, on, targets=targets) as driver:
        driver.grid = grid
        return driver.run()


def read_grid(settings: Sequence[str]) -> list[Overrides]:
    """The points that `settings` span. Raises UserError where one cannot be applied to its file of parameters."""
    ranges = [setting for setting in settings if RANGE.fullmatch(setting)]
    if ranges:
        raise UserError(f"-S {ranges[0]}: a range needs `--optuna N`; a grid lists its values, as in n_gen=5,20")
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


def digest_of(*what: Any) -> str:
    """Of what is asked for, and of the working tree that it is asked of."""
    tree = [
        git(Path(), *arguments) for arguments in (("rev-parse", "HEAD"), ("diff", "--no-ext-diff", "--binary", "HEAD"))
    ]
    return hashlib.sha256(repr((tree, what)).encode()).hexdigest()


class Workspace(TempDirExecutor):
    """DVC's, but git's objects are looked up in the repository: copying its whole history takes ten seconds."""

    @contextlib.contextmanager
    def set_temp_refs(self, scm: Any, temp_dict: dict[str, str]) -> Iterator[None]:
        """Around DVC's push of these into the workspace's empty .git, which then has them already."""
        objects, place = git(Path(scm.root_dir), "rev-parse", "--git-path", "objects"), Path(self.root_dir, ".git")
        (place / "objects/info").mkdir(exist_ok=True)
        (place / "objects/info/alternates").write_text(f"{Path(scm.root_dir, objects.strip())}\n", encoding="utf-8")
        known = place / "packed-refs"
        known.write_text("".join(f"{rev} {ref}\n" for ref, rev in sorted(temp_dict.items())), encoding="utf-8")
        with super().set_temp_refs(scm, temp_dict):
            yield
        known.unlink()


@dataclass
class Point:
    """One experiment: DVC's entry of it in its queue, the workspace, and the stages there.

    Attributes:
        recorder: the process that records it, once nothing is left to run.
        closed: whether it is recorded, or never will be.
    """

    overrides: Overrides
    entry: Any
    workspace: Workspace
    plan: Plan
    recorder: Any = None
    closed: bool = False

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def tasks(self) -> list[Task]:
        return [*self.plan.tasks.values()]


@contextlib.contextmanager
def opened(repo: Repo, folder: Path, name: str, overrides: Overrides, targets: Sequence[str]) -> Iterator[Point]:
    """A point in a workspace of its own below `folder`, which is gone afterwards.

    It begins as `dvc exp run --temp` would, but for DVC's record of a process that is at work there.
    """
    experiments, queue = repo.experiments, repo.experiments.tempdir_queue
    with lock_repo(repo):
        entry = experiments.queue_one(queue, params=overrides, targets=[*targets] or None, name=name)
        workspace = queue.init_executor(experiments, entry, Workspace, wdir=str(folder))
        record_of_it = Path(experiments.celery_queue.get_infofile_path(entry.stash_rev)).parent
    try:
        shutil.rmtree(record_of_it)
        workspace._update_config({"cache": {"type": ",".join(LINKS)}})
        with contextlib.chdir(workspace.root_dir):
            its = Repo()
            its.checkout(targets or None, with_deps=bool(targets), force=True, allow_missing=True)
            files = {file: Path(file).read_text(encoding="utf-8") for file in overrides}
            names = {"DVC_EXP_NAME": name, "DVC_EXP_BASELINE_REV": entry.baseline_rev}
            plan = Plan.load(targets, Variant(name, files, names), its)
        yield Point(overrides, entry, workspace, plan)
    finally:
        shutil.rmtree(workspace.root_dir, ignore_errors=True)
        shutil.rmtree(record_of_it, ignore_errors=True)


class Sweep(Driver):
    """A driver that records a point once nothing of it is left to do."""

    def __init__(self, repo: Repo, *of_driver: Any, targets: Sequence[str]):
        super().__init__(repo, *of_driver)
        self.targets, self.began_at = targets, repo.experiments.scm.get_rev()
        self.basis = self.read_basis()
        self.grid: list[Overrides] = []  # points that are yet to be entered
        self.points: dict[str, Point] = {}

    def enter(self, overrides: Overrides) -> str:
        """Admit a point's stages, unless it is recorded already; return its name.

        That is one of DVC's random names, the same one whenever this point of this working tree is asked for.

        Raises UserError where the code or the parameters have changed since the sweep began: the stages of all points
        run in one copy of them.
        """
        if self.read_basis() != self.basis:
            what = ", ".join(BASIS[:-1])
            raise UserError(f"{what} or {PARAMS} changed while the sweep ran: run it again, what is recorded stays")
        repo, digest = self.plan.repo, digest_of(dict(overrides), [*self.targets])
        names = read_json(NAMES) if NAMES.exists() else {}
        name = names.setdefault(digest, get_random_exp_name(repo.scm, repo.experiments.scm.get_rev()))
        write_json(NAMES, names)
        if self.ref(name):
            self.board.say(f"{name}: recorded already, {shown(overrides)}")
        elif name not in self.points:
            point = self.stack.enter_context(opened(repo, self.home.folder, name, overrides, self.targets))
            self.admit(point.plan)
            self.points[name] = point
        return name

    def read_basis(self) -> str:
        """How the working tree's code and parameters differ from the commit at which the sweep began."""
        return git(Path(), "diff", "--no-ext-diff", "--binary", self.began_at, "--", *BASIS)

    def ref(self, name: str) -> str | None:
        """The commit of an experiment; None where there is none."""
        scm, point = self.plan.repo.scm, self.points.get(name)
        return scm.get_ref(str(ExpRefInfo(point.entry.baseline_rev if point else scm.get_rev(), name)))

    def has_more(self) -> bool:
        return bool(self.grid) or not all(point.closed for point in self.points.values())

    def advance(self) -> None:
        """Enter one more point while stages of earlier ones run, and all those of which nothing needs to run."""
        super().advance()
        self.look_after_points()
        while self.grid:
            self.enter(self.grid.pop(0))
            super().advance()
            self.look_after_points()
            if self.plan.count(RUNNING):
                break

    def look_after_points(self) -> None:
        """Record points of which nothing is left to run, and close those that have been recorded."""
        for point in [point for point in self.points.values() if not point.closed]:
            if point.recorder is not None:
                if not point.recorder.is_alive():
                    self.close(point)
            elif not any(task.state in (WAITING, RUNNING) for task in point.tasks):
                self.record(point)

    def record(self, point: Point) -> None:
        """Begin to make an experiment of a point's workspace; without all stages there is none."""
        if any(task.state != DONE for task in point.tasks):
            self.board.say(f"{point.name}: not recorded, since stages failed: {shown(point.overrides)}")
            self.close(point)
        else:
            self.begin_to_record(point)

    def begin_to_record(self, point: Point, message: str = "") -> None:
        """In a process of its own: it takes seconds, in which stages of other points end and begin."""
        if self.plan.remote:  # workers filed their runs elsewhere
            sync(Path(point.workspace.root_dir))
        work = partial(commit, self.plan.repo, point, message)
        point.recorder = multiprocessing.get_context("fork").Process(target=exit_readably, args=(work,))
        point.recorder.start()

    def close(self, point: Point) -> None:
        point.closed = True
        if point.recorder is not None and point.recorder.exitcode:
            self.faults.append(f"DVC cannot record {point.name}, for the reason above")
        elif point.recorder is not None:
            self.board.say(f"{point.name}: recorded, {shown(point.overrides)}")
        shutil.rmtree(point.workspace.root_dir, ignore_errors=True)

    def end(self) -> None:
        """Let what is being recorded come to its end: the workspaces go next."""
        for point in self.points.values():
            if point.recorder is not None:
                point.recorder.join()


@refusals()
def commit(repo: Repo, point: Point, message: str = "") -> None:
    """Make an experiment of a point's workspace as it is. Raises UserError for what DVC refuses.

    `dvc exp run` does the same once it has run all stages, which here would mean to look at each of them again. What
    stages that are not done made at the experiment's baseline is left out.

    Args:
        message: of the commit; DVC's by default.
    """
    record(point.tasks)
    dvc, workspace = point.plan.repo, point.workspace
    with contextlib.chdir(dvc.root_dir):
        workspace._repro_args(dvc)  # takes DVC's note of them out of git
        for out in (out for task in point.tasks if task.state != DONE for out in task.stage.outs):
            if not out.use_cache and out.exists:
                out.remove()
        done = [task.stage for task in point.tasks if task.state == DONE]
        files = [file for stage in done for file in _get_stage_files(stage)]
        dvc.scm.add([*files, *workspace._get_top_level_paths(dvc)])
        digest = workspace.hash_exp(done)
        workspace.commit(dvc.scm, digest, exp_name=point.name, message=message)
        made = ExecutorResult(digest, ExpRefInfo.from_ref(dvc.scm.get_ref(EXEC_BRANCH, follow=False)), False)
    repo.experiments.tempdir_queue.collect_executor(repo.experiments, workspace, made)

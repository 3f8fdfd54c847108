"""`modescope sweep`: the points of a grid as DVC experiments; a stage that several of them share runs once.

DVC makes every point's workspace, as for `dvc exp run --temp`, and records it. In between the stages of all points run
side by side, and what they make is put where DVC finds everything up to date.
"""

import contextlib
import hashlib
import re
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
from modescope.parallel.driver import Driver
from modescope.parallel.graph import DONE, RUNNING, WAITING, Plan, Task, record
from modescope.parallel.slices import LINKS, Variant
from modescope.runs.git import git

NAMES = Path(".dvc/tmp/sweep.json")  # digest of a point -> name of its experiment
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
        for overrides in grid:
            driver.enter(overrides)
        return driver.run() if driver.points else 0


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
    """One experiment: DVC's entry of it in its queue, the workspace, and the stages there."""

    overrides: Overrides
    entry: Any
    workspace: Workspace
    plan: Plan
    recorded: bool = False

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
            Repo().checkout(targets or None, with_deps=bool(targets), force=True, allow_missing=True)
            files = {file: Path(file).read_text(encoding="utf-8") for file in overrides}
            names = {"DVC_EXP_NAME": name, "DVC_EXP_BASELINE_REV": entry.baseline_rev}
            plan = Plan.load(targets, Variant(name, files, names))
        yield Point(overrides, entry, workspace, plan)
    finally:
        shutil.rmtree(workspace.root_dir, ignore_errors=True)
        shutil.rmtree(record_of_it, ignore_errors=True)


class Sweep(Driver):
    """A driver that records a point once nothing of it is left to do."""

    def __init__(self, repo: Repo, *of_driver: Any, targets: Sequence[str]):
        repo.experiments.scm.get_rev()  # DVC refuses a folder without git or commits
        super().__init__(repo, *of_driver)
        self.targets = targets
        self.points: dict[str, Point] = {}

    def enter(self, overrides: Overrides) -> str:
        """Admit a point's stages, unless it is recorded already; return its name.

        That is one of DVC's random names, the same one whenever this point of this working tree is asked for.
        """
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

    def ref(self, name: str) -> str | None:
        """The commit of an experiment; None where there is none."""
        scm, point = self.plan.repo.scm, self.points.get(name)
        return scm.get_ref(str(ExpRefInfo(point.entry.baseline_rev if point else scm.get_rev(), name)))

    def advance(self) -> None:
        super().advance()
        for point in self.points.values():
            if not (point.recorded or any(task.state in (WAITING, RUNNING) for task in point.tasks)):
                point.recorded = True
                self.record(point)

    def record(self, point: Point) -> None:
        """Let DVC make an experiment of a point's workspace; without all stages it makes none."""
        if any(task.state != DONE for task in point.tasks):
            return self.board.say(f"{point.name}: not recorded, since stages failed: {shown(point.overrides)}")
        record(point.tasks)
        if self.plan.remote:  # workers filed their runs elsewhere
            sync(Path(point.workspace.root_dir))
        try:
            self.plan.repo.experiments.tempdir_queue._reproduce_entry(point.entry, point.workspace)
        except DvcException as error:
            self.faults.append(f"DVC cannot record {point.name}: {error}")
        else:
            self.board.say(f"{point.name}: recorded, {shown(point.overrides)}")

    def end(self) -> None:
        """Every point has been recorded as soon as it was done."""

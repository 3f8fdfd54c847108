"""DVC's graph: which stages there are, what each waits for and needs, and which of them must run at all."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.stage import PipelineStage
from dvc.stage.cache import _can_hash, _get_cache_hash, _get_stage_hash
from dvc.stage.loader import StageLoader

from modescope.errors import UserError
from modescope.files import read_json
from modescope.parallel.machine import Needs, threads_of
from modescope.parallel.slices import PLAIN, Variant, objects

WAITING, RUNNING, DONE, FAILED, SKIPPED = "waiting", "running", "done", "failed", "skipped"


@dataclass
class Task:
    """A stage of the graph, and how far it is.

    Attributes:
        upstream: ids of what it depends on.
        chain: seconds of the longest chain of stages that begins with it.
        key: of its run in DVC's run cache; empty until it is known that it must run.
        entry: what dvc.lock is to say of it; None until a worker has made it.
    """

    stage: PipelineStage
    needs: Needs
    upstream: list[str]
    chain: float = 0.0
    state: str = WAITING
    key: str = ""
    how: str = ""
    seconds: float = 0.0
    variant: Variant = PLAIN
    entry: dict[str, Any] | None = None

    @cached_property
    def name(self) -> str:
        """DVC's, which depends on the working folder: it must be asked for in the repository's root first."""
        return self.stage.addressing

    @property
    def id(self) -> str:
        return self.variant.names(self.name)


@dataclass
class Plan:
    """The stages that `targets` need, in the order in which `dvc repro` would run them.

    A sweep has a plan of the tasks of all points, each of which has a workspace and its repository of its own.

    Attributes:
        tasks: by their ids, each after all that it depends on.
        first: key -> the task that has started; tasks of the same key take what it makes.
        remote: results come through DVC's default remote.
    """

    repo: Repo
    tasks: dict[str, Task] = field(default_factory=dict)
    first: dict[str, Task] = field(default_factory=dict)
    remote: bool = False

    @classmethod
    def load(cls, targets: Sequence[str] = (), variant: Variant = PLAIN, repo: Repo | None = None) -> "Plan":
        """Of the repository in the working folder, `repo` if it is open.

        Raises UserError for a broken dvc.yaml, an unknown target, or `meta` that is refused.
        """
        with refusals():
            repo = repo or Repo()
            graph = get_active_graph(repo.index.graph)  # an edge u -> v: u depends on v
            stages = plan_repro(graph, collect_stages(repo, targets or ["dvc.yaml"]))
        threads, seconds = threads_of(repo.root_dir), _seconds_of_runs(graph)
        plan = cls(repo)
        for stage in stages:
            upstream = [variant.names(each.addressing) for each in graph.successors(stage)]
            task = Task(stage, Needs.of(stage, threads), upstream, variant=variant)
            plan.tasks[task.id] = task
        plan.look_ahead({task.id: _seconds(task.stage, seconds) for task in plan.tasks.values()})
        return plan

    def look_ahead(self, seconds: Mapping[str, float]) -> None:
        """Find out how long the chains of tasks are, of which each takes so long."""
        after = dict.fromkeys(self.tasks, 0.0)  # seconds of the longest chain of what depends on it
        for task in reversed(self.tasks.values()):
            task.chain = seconds[task.id] + after[task.id]
            after |= {each: max(after[each], task.chain) for each in task.upstream}

    def ready(self) -> list[Task]:
        """Waiting tasks that have all they depend on; those first with which the longest chain begins."""
        done = {task.id for task in self.tasks.values() if task.state == DONE}
        ready = [task for task in self.tasks.values() if task.state == WAITING and done.issuperset(task.upstream)]
        return sorted(ready, key=lambda task: -task.chain)

    def count(self, state: str) -> int:
        return sum(task.state == state for task in self.tasks.values())

    def fail(self, task: Task, state: str = FAILED) -> list[str]:
        """Give up a task, and skip all that depends on it; return the ids of these."""
        task.state = state
        lost, skipped = {task.id}, []
        for each in self.tasks.values():
            if each.state == WAITING and lost & set(each.upstream):
                each.state = SKIPPED
                lost.add(each.id)
                skipped.append(each.id)
        return skipped

    def settle(self, task: Task) -> bool:
        """Bring a task's outputs to where its inputs say, without running it; whether that was possible."""
        stage = task.stage
        with locked(stage.repo):
            if stage.frozen or not stage.cmd:  # data that DVC tracks: nothing to hand out
                stage.reproduce()
                task.how = "tracked"
            elif not stage.changed():
                task.how = "up to date"
            elif not self._restore(task):
                return False
            else:
                task.how = "cached"
        task.state = DONE
        return True

    def adopt(self, task: Task, entry: dict[str, Any]) -> None:
        """Take over what a worker made: `entry` is the stage's in dvc.lock, the outputs are in the cache or the remote.

        Raises UserError if the inputs in this folder are no longer those that the worker had.
        """
        with locked(task.stage.repo):
            if not self._restore(task, entry):
                raise UserError(f"the inputs of {task.name} changed while it ran: run it again")
        task.state, task.how, task.entry = DONE, "executed", entry

    def _restore(self, task: Task, entry: dict[str, Any] | None = None) -> bool:
        """Take a stage's outputs from `entry`, by default its first's or the run cache's, whatever dvc.lock says.

        Returns:
            False where the cache has not all of them, or the inputs are others.

        Raises:
            DvcException: its first has failed.
        """
        stage, cache = task.stage, task.stage.repo.stage_cache
        stage.save_deps()
        if not _can_hash(stage):
            raise UserError(
                f"stage {task.name} cannot be handed out, DVC keeps no run of a stage without dependencies and "
                f"outputs of its own: run `dvc repro {task.name}` first"
            )
        task.key = _get_stage_hash(stage)
        first = self.first.get(task.key)
        if first and first.state == FAILED:
            raise DvcException(f"it is the same as {first.id}, which failed")
        entry = entry or (first and first.entry) or cache._load(stage)
        if entry is None or _get_cache_hash(dict(entry), key=True) != task.key:
            return False
        found = cache._create_stage(entry, wdir=stage.wdir)
        if self.remote:
            stage.repo.cloud.pull(objects(out for out in found.outs if out.changed_cache()))
        if not found.outs_cached():
            return False
        StageLoader.fill_from_lock(stage, entry)
        stage.cmd_changed = False
        stage.run()  # finds that nothing changed, and takes its outputs from the cache
        return True

    def fetch_runs(self) -> None:
        """From now on results come through the remote; get what workers of an earlier driver left there."""
        self.remote = True
        with locked(self.repo):
            odb = self.repo.cloud.get_remote_odb(None, "fetch --run-cache", hash_name="md5-dos2unix")
            self.repo.stage_cache.transfer(odb, self.repo.cache.legacy, force=False)

    def ignore_outputs(self) -> None:
        """Let git ignore all outputs, in the order of `dvc repro`: a .gitignore is part of the folder it lies in, on
        which a stage may depend.
        """
        with locked(self.repo), self.repo.scm_context:
            for task in self.tasks.values():
                for out in task.stage.outs:
                    if out.use_cache and out.is_in_repo:
                        os.makedirs(os.path.dirname(out.fs_path), exist_ok=True)
                        out.ignore()
            self.repo.scm._reset()  # it has read the files that have just changed

    def critical_path(self) -> tuple[float, list[str]]:
        """The chain of stages that took longest: its seconds and their ids, first to last."""
        ends: dict[str, tuple[float, list[str]]] = {}
        for task in self.tasks.values():
            seconds, chain = max((ends[each] for each in task.upstream), default=(0.0, []))
            ends[task.id] = seconds + task.seconds, [*chain, task.id]
        return max(ends.values(), default=(0.0, []))


@contextlib.contextmanager
def locked(repo: Repo) -> Iterator[None]:
    """DVC takes some paths relative to the working folder."""
    with contextlib.chdir(repo.root_dir), repo.lock:
        yield


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What DVC refuses becomes a UserError."""
    try:
        yield
    except DvcException as error:
        raise UserError(f"DVC refuses: {error}") from None


def record(tasks: Iterable[Task]) -> None:
    """Enter all that was done into dvc.lock, in the order of `dvc repro`, but in one go.

    DVC reads and writes the whole file for every stage, seconds each in a large pipeline.
    """
    files: dict[str, list[PipelineStage]] = {}
    for task in tasks:
        if task.how in ("cached", "executed"):
            files.setdefault(task.stage.path, []).append(task.stage)
    for stages in files.values():
        with locked(stages[0].repo), stages[0].repo.scm_context:
            stages[0].dvcfile.dump_stages(stages, update_pipeline=False)


def _seconds_of_runs(stages: Iterable[PipelineStage]) -> dict[str, float]:
    """How long each run was trained the last time, by its metrics, which are in git."""
    files = [Path(out.fs_path) for stage in stages for out in stage.outs if out.metric]
    found = {}
    for file in files:
        with contextlib.suppress(UserError, OSError):  # not there, or it has none
            found[file.stem] = read_json(file, seconds=float)["seconds"]
    return found


def _seconds(stage: PipelineStage, of_runs: Mapping[str, float]) -> float:
    """What a stage that trains a run may take; any other, of which nothing is known, one second."""
    return max((of_runs.get(Path(out.fs_path).name, 1.0) for out in stage.outs), default=1.0)

"""`modescope sweep --optuna`: Optuna proposes the points of a sweep from ranges, and ends those without hope.

The study lies in .dvc/tmp/optuna.db. Every trial is a DVC experiment, from whose commit its score is read; so one that
was recorded, but not told to the study before the driver died, is not lost. A pruned trial is recorded without what it
has not made: parameters, finished stages, no score.
"""

import contextlib
import json
import math
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from dvc.repo import Repo
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from modescope.dotted import dotted
from modescope.errors import UserError
from modescope.files import read_json
from modescope.parallel.executors import Outcome
from modescope.parallel.graph import RUNNING, SKIPPED, refusals
from modescope.parallel.sweep import RANGE, Point, Sweep, digest_of, read_grid
from modescope.runs.folder import RUN_FILE, WORK_FOLDERS, read_rows
from modescope.runs.git import git

STORE = "sqlite:///.dvc/tmp/optuna.db"
ENDS = (TrialState.PRUNED, TrialState.COMPLETE)
PRUNED = "pruned"  # the first word of a pruned trial's commit


class Goal(NamedTuple):
    """What a search is for.

    Attributes:
        direction: minimize or maximize.
        file, key: a file of metrics, and the dotted name of the score in it.
        curve: of the run that `file` is named after, by which trials are pruned; None prunes none.
    """

    direction: str
    file: str
    key: str
    curve: str | None = None

    @classmethod
    def read(cls, minimize: str | None, maximize: str | None, curve: str | None) -> "Goal":
        """Raises UserError unless one of them is FILE:KEY."""
        file, _, key = (minimize or maximize or "").rpartition(":")
        if not file or (minimize and maximize):
            raise UserError("--optuna needs --minimize FILE:KEY or --maximize FILE:KEY, a score in a file of metrics")
        return cls("minimize" if minimize else "maximize", file, key, curve)

    @property
    def run(self) -> str:
        return Path(self.file).stem


def search(settings: Sequence[str], trials: int, goal: Goal, jobs: int | None = None, on: str | None = None) -> int:
    """Run trials until the study has `trials` that are complete or pruned, each as a sweep runs a point.

    Args:
        settings: ranges, `lr=0.01..2:log` or `n_gen=1..50`, and single values as `dvc exp run -S` takes them.
        jobs, on: as for `repro`; at most `jobs` trials at a time.

    Returns:
        the exit code.

    Raises:
        UserError: bad arguments, before anything runs, or as for `repro`.
    """
    if trials < 1:
        raise UserError(f"--optuna {trials}: at least one trial")
    ranges = [found.groups() for setting in settings if (found := RANGE.fullmatch(setting))]
    fixed = [setting for setting in settings if not RANGE.fullmatch(setting)]
    if not ranges or len(read_grid([*fixed, *(f"{name}={low}" for name, low, _, _ in ranges)])) > 1:
        raise UserError(
            "with --optuna every -S is one value or a range, at least one a range: n_gen=1..50, lr=0.01..2:log"
        )
    distributions = {name: distribution(*each) for name, *each in ranges}
    settings = {"goal": goal, "fixed": fixed, "distributions": distributions, "trials": trials}
    with Search.prepared(jobs, on, targets=[stage_of(goal)], **settings) as driver:
        return driver.run()


def stage_of(goal: Goal) -> str:
    """The stage that writes the score. Raises UserError where there is none."""
    with refusals():
        return Repo().find_outs_by_path(goal.file)[0].stage.addressing


def distribution(low: str, high: str, log: str | None) -> Any:
    """Optuna's, of whole numbers where both ends are. Raises UserError for an empty range."""
    try:
        whole = low.lstrip("-").isdigit() and high.lstrip("-").isdigit()
        kind, number = (IntDistribution, int) if whole else (FloatDistribution, float)
        return kind(number(low), number(high), log=bool(log))
    except ValueError as error:
        raise UserError(f"the range {low}..{high}{log or ''}: {error}") from None


def pruner() -> Any:
    """Ends a trial that is not among the best quarter at the same step; the first five come to their end."""
    return optuna.pruners.PercentilePruner(25.0)


class Search(Sweep):
    """A sweep that gets its points from Optuna."""

    def __init__(
        self, *of_driver: Any, goal: Goal, fixed: list[str], distributions: dict[str, Any], trials: int, **of_sweep: Any
    ):
        super().__init__(*of_driver, **of_sweep)
        self.goal, self.fixed, self.distributions = goal, fixed, distributions
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        name = digest_of(self.goal[:3], self.fixed, {name: str(each) for name, each in self.distributions.items()})
        how = {"direction": self.goal.direction, "load_if_exists": True, "pruner": pruner()}
        self.study = optuna.create_study(storage=STORE, study_name=name, **how)
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):  # of a driver that died
            self.study.tell(trial.number, state=TrialState.FAIL)
            if trial.params.keys() == self.distributions.keys():
                self.study.enqueue_trial(trial.params)
        known = self.study.get_trials(states=ENDS)
        self.study.sampler = optuna.samplers.TPESampler(seed=len(self.study.get_trials()))
        self.left = trials - len(known)
        self.trials: dict[str, Any] = {}
        self.hopeless: dict[str, str] = {}  # experiment -> its training, which has been stopped

    def advance(self) -> None:
        super().advance()
        while self.left > 0 and len(self.trials) < self.workers.jobs:
            self.left -= 1
            self.propose()
            super().advance()
        if self.goal.curve:
            self.watch()

    def run(self) -> int:
        code = super().run()
        pruned, complete = (self.study.get_trials(states=(state,)) for state in ENDS)
        if complete:
            best = self.study.best_trial
            where = f"{best.user_attrs['experiment']}, {best.params}"
            print(f"{len(complete)} trials complete, {len(pruned)} pruned; best: {best.value:g}, {where}")
        return code

    def propose(self) -> None:
        trial = self.study.ask(self.distributions)
        overrides = read_grid([*self.fixed, *(f"{name}={value!r}" for name, value in trial.params.items())])[0]
        name = self.enter(overrides)
        trial.set_user_attr("experiment", name)
        if name in self.trials:  # whole numbers again that are under way
            self.tell(trial, name)
        else:
            self.trials[name] = trial
            if self.ref(name):
                self.tell(self.trials.pop(name), name)

    def tell(self, trial: Any, name: str) -> None:
        """Tell the study how a trial ended, by its experiment."""
        commit = self.ref(name)
        pruned = commit and git(Path(), "log", "-1", "--format=%s", commit).startswith(PRUNED)
        score = read_score(commit, self.goal) if commit and not pruned else None
        state = TrialState.PRUNED if pruned else TrialState.FAIL if score is None else TrialState.COMPLETE
        self.study.tell(trial, score, state)

    def watch(self) -> None:
        """Report the curves of trainings under way, and stop those that lead nowhere."""
        for folder, info in running_runs():
            name = info["origin"].get("dvc.exp")
            task = self.plan.tasks.get(f"{info['stage']} ({name})")
            if info["run"] == self.goal.run and task and task.state == RUNNING and name not in self.hopeless:
                if self.report(name, folder) and self.trials[name].should_prune():
                    self.hopeless[name] = task.id
                    self.workers.stop(task.id)

    def report(self, name: str, folder: Path) -> bool:
        """Whether the curve of the run in `folder` has come further than was reported."""
        trial, curve = self.trials[name], self.goal.curve
        known = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        new = {step: row[curve] for step, row in read_rows(folder).items() if curve in row and step not in known}
        for step, value in new.items():
            trial.report(value, step)
        return bool(new)

    def take(self, outcome: Outcome) -> None:
        task = self.plan.tasks[outcome.task]
        if self.hopeless.get(task.variant.name) != task.id:
            return super().take(outcome)
        if not outcome.error:  # it was done just before
            del self.hopeless[task.variant.name]
            return super().take(outcome)
        del self.plan.first[task.key]
        self.plan.fail(task, SKIPPED)
        self.board.stopped(task, PRUNED)

    def record(self, point: Point) -> None:
        if self.goal.curve:  # all of it, for the pruner to compare others with
            for out in (out for task in point.tasks for out in task.stage.outs):
                if Path(out.fs_path).name == self.goal.run:
                    self.report(point.name, Path(out.fs_path))
        if point.name in self.hopeless:
            self.begin_to_record(point, f"{PRUNED} by {self.goal.curve}")
        else:
            super().record(point)

    def close(self, point: Point) -> None:
        super().close(point)
        self.tell(self.trials.pop(point.name), point.name)


def running_runs() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Work folders of runs that are under way on this disk, with their records."""
    for file in Path(WORK_FOLDERS).glob(f"*/{RUN_FILE}"):
        with contextlib.suppress(UserError, OSError):  # it has just been finished
            info = read_json(file, run=str, stage=str, status=str, origin=dict)
            if info["status"] == "running":
                yield file.parent, info


def read_score(commit: str, goal: Goal) -> float | None:
    """The score in an experiment's commit; None if it is no finite number. Raises UserError where it has none."""
    try:
        values = dotted(json.loads(git(Path(), "show", f"{commit}:./{goal.file}")))
    except (subprocess.CalledProcessError, ValueError):
        raise UserError(f"{goal.file} is no JSON file in git: a search needs metrics with `cache: false`") from None
    if goal.key not in values:
        raise UserError(f"{goal.file} has no {goal.key}; it has {', '.join(values)}")
    value = values[goal.key]
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

"""What the user sees of a parallel run: a live table on a terminal, elsewhere a line per event, and a summary."""

import sys
import time
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from modescope.parallel.executors import Executor
from modescope.parallel.graph import DONE, FAILED, RUNNING, SKIPPED, WAITING, Plan, Task

ROWS = 20  # of the table, at most


class Board:
    """A `with` block around a run."""

    def __init__(self, plan: Plan, workers: Executor):
        self.plan, self.workers, self.began = plan, workers, time.monotonic()
        self._starts: dict[str, float] = {}
        console = Console(highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=True) if sys.stdout.isatty() else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        if self._live:
            self._live.console.print(Text(line))
        else:
            print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    def started(self, task: Task) -> None:
        self._starts[task.id] = time.monotonic()
        if not self._live:
            self.say(f"{task.id}: started")

    def ended(self, task: Task, last: str = "") -> None:
        """A task is done; how long it took is kept where it ran.

        Args:
            last: the last line that it printed.
        """
        if task.id in self._starts:
            task.seconds = time.monotonic() - self._starts.pop(task.id)
        took = f" in {task.seconds:.1f} s" if task.seconds else ""
        done = f"{self.plan.count(DONE)} of {len(self.plan.tasks)}"
        self.say(f"{task.id}: {task.how}{took} ({done})" + (f"; {last}" if last else ""))

    def stopped(self, task: Task, why: str) -> None:
        self._starts.pop(task.id, None)
        self.say(f"{task.id}: {why}")

    def failed(self, task: Task, error: str, tail: str, skipped: list[str]) -> None:
        self._starts.pop(task.id, None)
        for line in tail.splitlines()[-15:]:
            self.say(f"  | {line}")
        self.say(f"{task.id}: failed: {' '.join(error.split())}")
        if skipped:
            self.say(f"not run, since they depend on it: {', '.join(skipped)}")

    def refresh(self) -> None:
        if not self._live:
            return
        table, now = Table(box=None, pad_edge=False), time.monotonic()
        for name in ("running", "on", "for", "last line"):
            table.add_column(name, no_wrap=True)
        for name, (place, line) in [*self.workers.running().items()][:ROWS]:
            table.add_row(name, place, f"{now - self._starts.get(name, now):.0f} s", Text(line))
        counts = ", ".join(f"{self.plan.count(state)} {state}" for state in (WAITING, RUNNING, DONE, FAILED, SKIPPED))
        self._live.update(Group(table, Text(f"{counts}; {now - self.began:.0f} s")), refresh=True)

    def summary(self) -> list[str]:
        """What ran, the critical path, and how many times faster than one stage after another it was."""
        tasks, took = self.plan.tasks.values(), time.monotonic() - self.began
        counts = {
            how: sum(task.how == how for task in tasks) for how in ("executed", "cached", "up to date", "tracked")
        }
        shown = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
        lines = [f"{len(tasks)} stages in {took:.1f} s: {shown or 'none done'}"]
        if counts["executed"]:
            total, (seconds, path) = sum(task.seconds for task in tasks), self.plan.critical_path()
            path = [name for name in path if self.plan.tasks[name].seconds]
            lines += [
                f"one after another they would have taken {total:.1f} s: {total / took:.2f} times as long",
                f"critical path, {seconds:.1f} s: {' > '.join(path)}",
            ]
        for state in (FAILED, SKIPPED):
            if self.plan.count(state):
                lines.append(f"{state}: {', '.join(task.id for task in tasks if task.state == state)}")
        return lines

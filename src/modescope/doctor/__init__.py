"""The doctor: what killed commands left behind in the repository and the store, and the way back."""

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from modescope.doctor.commits import detached_head, execution_refs, git_locks, packed_arguments
from modescope.doctor.experiments import dead_experiments, read_write_locks, temporary_workspaces
from modescope.doctor.files import damaged_checkpoints, half_written, torn_lock
from modescope.doctor.finding import Finding
from modescope.doctor.images import other_images
from modescope.doctor.processes import at_work, orphans
from modescope.doctor.records import other_parameters
from modescope.doctor.store import store_troubles
from modescope.errors import UserError
from modescope.files import root

Check = Callable[[Path], Iterable[Finding]]

ALWAYS = (orphans, store_troubles)
AT_REST = (
    git_locks,
    packed_arguments,
    detached_head,
    execution_refs,
    torn_lock,
    other_parameters,
    other_images,
    dead_experiments,
    temporary_workspaces,
    read_write_locks,
    half_written,
    damaged_checkpoints,
)


def examine(mend: bool = False) -> bool:
    """Print a line per finding, with the command that mends it, and mend what can be mended if `mend`.

    What belongs to a command that is at work here is left alone.

    Returns:
        whether nothing is wrong, or nothing is any more.
    """
    folder, found, left = root(), 0, 0
    busy = at_work(folder)
    if busy:
        print(f"{busy} is at work here: its files are not looked at")
    for check in (*ALWAYS, *(() if busy else AT_REST)):
        findings = list(check(folder))
        notes = {str(each): _mend(each) if mend else "" for each in findings}
        remaining = [str(each) for each in (check(folder) if mend and findings else findings)]
        mended = [f"mended: {each.what}{notes[str(each)]}" for each in findings if str(each) not in remaining]
        for line in (*mended, *(f"{each}{notes.get(each, '')}" for each in remaining)):
            print(line, flush=True)
        found, left = found + len(findings), left + len(remaining)
    if not found:
        print("nothing to mend")
    elif left and not mend:
        print("`modescope doctor --mend` does what can be done without losing work")
    return left == 0


def _mend(finding: Finding) -> str:
    """What there is to say of it: where things were moved, or why it failed."""
    if finding.mend is None:
        return ""
    try:
        done = finding.mend()
    except (OSError, UserError, subprocess.CalledProcessError) as error:
        return f" (failed: {' '.join((getattr(error, 'stderr', None) or str(error)).split())})"
    return "".join(f" (kept as {os.path.relpath(place, root())})" for place in (done if isinstance(done, list) else ()))

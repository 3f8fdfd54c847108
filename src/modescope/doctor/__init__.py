"""The doctor: what killed commands left behind in the repository and the store, and the way back."""

import subprocess

from modescope.doctor.commits import detached_head, execution_refs, git_locks, packed_arguments
from modescope.doctor.experiments import dead_experiments, read_write_locks, temporary_workspaces
from modescope.doctor.files import half_written, torn_lock
from modescope.doctor.finding import Finding
from modescope.doctor.processes import at_work, orphans
from modescope.doctor.store import store_troubles
from modescope.files import root

ALWAYS = (orphans, store_troubles)
AT_REST = (
    git_locks,
    packed_arguments,
    detached_head,
    execution_refs,
    torn_lock,
    dead_experiments,
    temporary_workspaces,
    read_write_locks,
    half_written,
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
        for finding in check(folder):
            found += 1
            left += not treat(finding, mend)
    if not found:
        print("nothing to mend")
    elif left and not mend:
        print("`modescope doctor --mend` does what can be done without losing work")
    return left == 0


def treat(finding: Finding, mend: bool) -> bool:
    """Print the finding, mend it if asked to and able to; return whether it is gone."""
    done, trouble = False, ""
    if mend and finding.mend is not None:
        try:
            finding.mend()
            done = True
        except (OSError, subprocess.CalledProcessError) as error:
            trouble = f" (failed: {' '.join((getattr(error, 'stderr', None) or str(error)).split())})"
    print(f"mended: {finding.what}" if done else f"{finding.what}: {finding.command}{trouble}", flush=True)
    return done


__all__ = ["Finding", "examine"]

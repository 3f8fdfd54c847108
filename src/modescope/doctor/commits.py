"""What a killed `dvc exp run` leaves in git: a detached HEAD, refs, locks, and changes put aside."""

import re
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from modescope.doctor.finding import Finding, leftover
from modescope.doctor.processes import runs_git
from modescope.runs.git import git
from modescope.runs.git_facts import OUTPUTS

DETACHED, RESTORED = re.compile(r"checkout: moving from (\S+) to [0-9a-f]{40}$"), "dvc: Restore HEAD"
BASELINE, MERGE, BRANCH = (f"refs/exps/exec/EXEC_{name}" for name in ("BASELINE", "MERGE", "BRANCH"))
EXECUTION = (BASELINE, MERGE, BRANCH)  # DVC's own EXEC_HEAD stays after every experiment
ARGUMENTS = ".dvc/tmp/repro.dat"  # DVC adds it to the index for the time of a stash
SECONDS_FROM_STASH_TO_DETACHING = 2


def holds(folder: Path, *arguments: str) -> bool:
    """Whether a git command succeeds: `diff --quiet` where nothing differs, `rev-parse` in a repository."""
    try:
        git(folder, *arguments)
        return True
    except (OSError, subprocess.CalledProcessError):
        return False


def git_locks(folder: Path) -> Iterator[Finding]:
    """Locks of git commands that were killed; they keep every other from writing."""
    if not holds(folder, "rev-parse", "--git-dir") or runs_git(folder):
        return
    place = folder / git(folder, "rev-parse", "--git-dir").strip()
    locks = {file: file.stat().st_mtime for file in [*place.glob("*.lock"), *place.glob("refs/**/*.lock")]}
    if locks:
        time.sleep(0.5)  # a program that git_locks does not see may be using it
    for file, written in locks.items():
        if file.exists() and file.stat().st_mtime == written:
            yield leftover(folder, "git is locked by a command that is gone", file)


def packed_arguments(folder: Path) -> Iterator[Finding]:
    """DVC's arguments in git's index."""
    if holds(folder, "ls-files", "--error-unmatch", ARGUMENTS):
        command = ["rm", "--quiet", "--cached", ARGUMENTS]
        yield Finding(
            "a file of a killed `dvc exp run` would be committed",
            f"git {' '.join(command)}",
            partial(git, folder, *command),
        )


def detached_head(folder: Path) -> list[Finding]:
    """HEAD where DVC detached it, and changes that DVC put into git's stash for a moment."""
    if not holds(folder, "rev-parse", "HEAD"):
        return []
    lines = git(folder, "reflog", "show", "HEAD", "-50", "--date=unix", "--format=%H\t%gd\t%gs").splitlines()
    moves = [line.split("\t") for line in lines]
    history = [(commit, int(re.search(r"\d{9,}", at)[0]), message) for commit, at, message in moves]
    return [*_stashed(folder, history), *_detached(folder, history)]


def _detached(folder: Path, history: list[tuple[str, int, str]]) -> Iterator[Finding]:
    """HEAD is detached since DVC did so at a branch's commit; later commits belong to that branch."""
    if holds(folder, "symbolic-ref", "--quiet", "HEAD"):
        return
    for (commit, _, message), before in zip(history, history[1:], strict=False):
        moved = DETACHED.match(message)
        if moved and commit == before[0] and holds(folder, "show-ref", "--verify", f"refs/heads/{moved[1]}"):
            if holds(folder, "merge-base", "--is-ancestor", moved[1], "HEAD"):
                command = ["checkout", "--quiet", "-B", moved[1]]
                what = f"HEAD left branch `{moved[1]}` in a `dvc exp run` that was killed"
                if not holds(folder, "diff", "--quiet", "HEAD", "--", "params.yaml"):
                    what += "; params.yaml keeps what it has now (`git diff HEAD params.yaml`)"
                yield Finding(what, f"git {' '.join(command)}", partial(git, folder, *command))
        if message.startswith(("checkout: ", RESTORED)):
            return


def _stashed(folder: Path, history: list[tuple[str, int, str]]) -> Iterator[Finding]:
    """DVC stashes the user's changes just before it detaches HEAD (`git stash` leaves a `reset:` in the reflog)."""
    if not holds(folder, "rev-parse", "--verify", "--quiet", "refs/stash"):
        return
    stashed = int(git(folder, "log", "-1", "--format=%ct", "refs/stash"))
    since = [(at, message) for _, at, message in reversed(history) if at >= stashed]
    expected = (
        len(since) in (1, 2)
        and DETACHED.match(since[0][1])
        and all(message.startswith(RESTORED) for _, message in since[1:])
    )
    if not expected or since[0][0] - stashed > SECONDS_FROM_STASH_TO_DETACHING:
        return
    what = "a killed `dvc exp run` left your changes in git's stash"
    if holds(folder, "diff", "--quiet", "refs/stash"):
        yield Finding(
            f"{what}, and the workspace has them, too", "git stash drop", partial(git, folder, "stash", "drop")
        )
    elif holds(folder, "diff", "--quiet", "HEAD"):
        yield Finding(what, "git stash pop --index", partial(git, folder, "stash", "pop", "--index"))
    else:
        yield Finding(
            f"{what}; what the workspace has instead goes there",
            "git stash push, then git stash pop --index stash@{1}",
            partial(_swap, folder),
        )


def _swap(folder: Path) -> None:
    git(folder, "stash", "push", "--message", "modescope doctor: the workspace as it was found")
    git(folder, "stash", "pop", "--index", "stash@{1}")


def execution_refs(folder: Path) -> Iterator[Finding]:
    """Refs that DVC removes when an experiment ends."""
    stale = [ref for ref in EXECUTION if holds(folder, "show-ref", "--verify", ref)]
    if stale:
        commands = " && ".join(f"git update-ref -d {ref}" for ref in stale)
        yield Finding("refs of a killed experiment are left", commands, partial(_remove_refs, folder, stale))


def _remove_refs(folder: Path, refs: list[str]) -> None:
    if MERGE in refs:
        _keep_changes(folder)
    for ref in refs:
        git(folder, "update-ref", "-d", ref)


def _keep_changes(folder: Path) -> None:
    """Put the changes that are nowhere but in EXEC_MERGE into the workspace, or into git's stash.

    EXEC_MERGE is the workspace with which the experiment began.
    """
    changed = git(folder, "diff", "--name-only", f"{MERGE}^1", MERGE).splitlines()
    files = [name for name in changed if not name.startswith((ARGUMENTS, *OUTPUTS))]
    if not files or holds(folder, "diff", "--quiet", MERGE, "--", *files):
        return
    is_clean = holds(folder, "diff", "--quiet", "HEAD", "--", *files)
    if is_clean and git(folder, "rev-parse", "HEAD") == git(folder, "rev-parse", f"{MERGE}^1"):
        git(folder, "restore", f"--source={MERGE}", "--worktree", "--", *files)
    else:
        message = "modescope doctor: the workspace with which a killed experiment began"
        git(folder, "stash", "store", "--message", message, git(folder, "rev-parse", MERGE).strip())

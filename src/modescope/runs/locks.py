"""Locks between processes, which the kernel frees when their holder dies."""

import fcntl
import sys
import time
from pathlib import Path
from typing import IO

from modescope.errors import say

SECONDS_TO_WAIT = 30
SECONDS_OF_SILENCE = 2


def lock(path: Path, seconds: float = SECONDS_TO_WAIT) -> IO[str]:
    """Wait until the lock file `path` is ours; closing what is returned frees it. A longer wait is announced.

    Raises:
        TimeoutError: somebody, whom it names, has held the lock for so many seconds.
    """
    began, announced = time.monotonic(), False
    while (file := try_lock(path)) is None:
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimeoutError(f"{path} has been held for {waited:.0f} seconds by {holder(path)}")
        if waited > SECONDS_OF_SILENCE and not announced:
            say(f"waiting for {path}, which {holder(path)} holds")
            announced = True
        time.sleep(0.05)
    return file


def try_lock(path: Path) -> IO[str] | None:
    """Like `lock`, but None at once where another process holds it."""
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _open(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "a", encoding="utf-8")


def lock_file(folder: Path) -> Path:
    """The lock that a run holds as long as it uses its work folder."""
    return folder.with_name(f"{folder.name}.lock")


def holder(path: Path) -> str:
    """The process that has locked a file, in words; without its number where the kernel does not tell."""
    if sys.platform != "linux":
        return "another process"
    file = str(path.stat().st_ino)
    for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
        _, kind, *_, process, place, _, _ = line.split()  # `1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF`
        if kind != "->" and place.rpartition(":")[2] == file:
            return f"process {process} (`{_command(process)}`)"
    return "another process"


def _command(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it is gone, and a child has its lock
        return "gone, but not what it started"

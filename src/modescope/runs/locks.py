"""Locks between processes, which the kernel frees when their holder dies."""

import fcntl
from pathlib import Path
from typing import IO


def lock(path: Path) -> IO[str]:
    """Wait until the lock file `path` is ours; closing what is returned frees it."""
    file = _open(path)
    fcntl.flock(file, fcntl.LOCK_EX)
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


def lock_file(folder: Path) -> Path:
    """The lock that a run holds as long as it uses its work folder."""
    return folder.with_name(f"{folder.name}.lock")


def _open(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "a", encoding="utf-8")

"""What a check of the doctor says."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modescope.files import put_aside


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        what: one line.
        command: what mends it.
        mend: does that, without losing any work: what it takes away is put aside, and it returns a list of where. None
            where the user must decide.
    """

    what: str
    command: str
    mend: Callable[[], object] | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.command}"


def leftover(folder: Path, what: str, *places: Path) -> Finding:
    """Files or folders that should not be there: the user may remove them, the doctor moves them out of the way."""
    names = " ".join(os.path.relpath(place, folder) for place in places)  # a worktree's git folder lies outside
    command = f"rm {'-r ' if any(place.is_dir() for place in places) else ''}{names}"
    return Finding(what, command, partial(_put_aside, places))


def _put_aside(places: Sequence[Path]) -> list[Path]:
    return [put_aside(place) for place in places if place.exists()]

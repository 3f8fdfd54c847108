"""What a check of the doctor says."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        what: one line.
        command: what mends it.
        mend: does that, without losing any work; None where the user must decide.
    """

    what: str
    command: str
    mend: Callable[[], object] | None = None

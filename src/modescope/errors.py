"""The one exception that means: the user can mend this; and what is said to the user, with no password in it."""

import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SECRETS = {
    re.compile(r"(://[^\s/:@]*:)(?!\d*(?:[/?#\s]|$))\S*@"): r"\1***@",  # scheme://user:PASSWORD@host, not host:port/a@b
    re.compile(r"(?i)((?:passw(?:or)?d|pwd|token|secret|signature|sig|credential|api_?key)=)[^\s&;#'\"]+"): r"\1***",
}
LONGEST_LINE = 2_000  # characters of a message


def masked(text: str) -> str:
    """`text` with `***` for the passwords of all URLs in it, be they before a host or in a query."""
    for secret, hidden in SECRETS.items():
        text = secret.sub(hidden, text)
    return text


def say(message: str) -> None:
    """One line on stderr, masked, whatever a file put into the message: no control characters, not without end."""
    line = " ".join(masked(message).split())[:LONGEST_LINE]
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    print(f"modescope: {line}", file=sys.stderr, flush=True)


class UserError(Exception):
    """Bad input. Its message is one readable line that says what is wrong and what to do (exit code 2), masked."""

    def __init__(self, message: str):
        super().__init__(masked(message))


def seconds_of(variable: str, default: float) -> float:
    """Seconds that a variable of the environment gives. Raises UserError for what is no number of them."""
    text = os.environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{variable}={text} is no number of seconds: set it to one, say {default:g}, or unset it")
    return seconds


@contextmanager
def blaming(what: str, advice: str = "delete it and run `dvc repro`") -> Iterator[None]:
    """What goes wrong inside goes wrong because of a file that is not as we wrote it: UserError, which says `what`."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        fault = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{what} ({fault}): {advice}") from error

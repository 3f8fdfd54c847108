"""What a kind of bad input is, for tests/test_fuzz.py, and what such inputs are made of."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest


class Kind(NamedTuple):
    """A kind of bad input.

    Attributes:
        make: draws one input.
        consume: what a user does with it, called in an empty working folder (given, too) with a monkeypatch of its own.
        count: how many are tried.
        refused: the least part of them that must be refused: with all inputs taken a kind would test nothing.
    """

    make: Callable[[Random], Any]
    consume: Callable[[Any, Path, pytest.MonkeyPatch], None]
    count: int
    refused: float = 0.5


TEXTS = (
    "", " ", ".", "..", "/", "~", "-", "--help", "../../evil", "/abs", "a/b", "a\\b", "$(touch x)", "`touch x`",
    "; touch x", "'; touch x; '", '"; touch x; "', "x\ny", "x\0y", "%20", "a?b", "a#b", "ü", "\u202e", "\ud800",
    "\x1b[31m", "a" * 300, "${cgan.losses}", "{{x}}", "*", "null", "con", "a b", "a\tb", "é" * 70, "5",
    "-1", "1e9", "x" * 5000,
)  # fmt: skip
NUMBERS = (
    ".inf", "-.inf", ".nan", "1e999", "-1e999", "1e300", "0", "-1", "-0.0", "1e-320", str(2**31), str(2**32),
    str(2**63), str(2**64), "9" * 400, "9" * 5000, "0x" + "f" * 900, "0.5", "1_0", "_", "0o777", "1:30:00",
    "2001-01-01", "2001-99-99", "true", "null", "''", "[]", "{}", "[1, 2]", "~", "!!int x", "1.", ".5", "1e", "+5",
)  # fmt: skip


def brief(value: Any) -> str:
    """A name for a test's parameter that may be long."""
    return str(value)[:12]


def mutated(content: bytes, random: Random) -> bytes:
    """`content` with some bytes changed, cut out, doubled, or with the end missing."""
    for _ in range(random.choice([1, 1, 2, 5])):
        at, length = random.randrange(len(content) + 1), random.choice([1, 2, 8, 64])
        change = random.choice(["flip", "cut", "double", "end", "noise"])
        middle = {
            "flip": bytes(each ^ 1 << random.randrange(8) for each in content[at : at + length]),
            "cut": b"",
            "double": content[at : at + length] * 2,
            "end": b"",
            "noise": random.randbytes(length),
        }[change]
        content = content[:at] + middle + (b"" if change == "end" else content[at + length :])
    return content

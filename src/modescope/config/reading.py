"""YAML that somebody else wrote, read within limits: every fault of the file is one line, and none takes long."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from modescope.errors import UserError

LARGEST, LONGEST = 1_000_000, 1_000  # bytes of a file, characters of a name or a value
DEEPEST, MOST = 20, 20_000  # levels, values with every alias written out


def read_yaml(path: Path) -> dict[str, Any]:
    """What a file of parameters holds, nothing for an empty one: YAML 1.2, as DVC reads and writes it (to PyYAML's 1.1
    1e-05 is a text).

    Raises UserError in one line for a file that is missing or cannot be read, is no YAML mapping, or is beyond the
    limits.
    """
    path = Path(path)
    if not path.is_file():
        state = "is missing" if not path.exists() else "is a folder" if path.is_dir() else "is no regular file"
        raise UserError(f"{path} {state}")
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path} is larger than {LARGEST:,} bytes: it holds more than parameters")
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The same of a text. Raises UserError that begins with `where`."""
    try:
        return deepcopy(_parse(text))
    except YAMLError as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


@cache
def _parse(text: str) -> dict[str, Any]:
    """Kept, because the standard profile is read for every profile that lies over it."""
    _refuse_excess(text)
    values = YAML(typ="safe").load(text) or {}
    if not isinstance(values, dict):
        raise ValueError("it holds no names with values: input should be a valid dictionary")
    _refuse_other_keys(values)
    return values


def _refuse_excess(text: str) -> None:
    """Follow the parser's events before anything is built of them. Raises ValueError for what is beyond the limits."""
    counts, anchors, sizes = [0], [], {}  # of the collections that are open, and of everything with an anchor
    for event in YAML(typ="safe").parse(text):
        anchor, size = getattr(event, "anchor", None), 1
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"parameters have no tags such as {event.tag[:LONGEST]}")
        if isinstance(event, CollectionStartEvent):
            sizes.pop(anchor, None)
            counts.append(0)
            anchors.append(anchor)
            if len(counts) > DEEPEST:
                raise ValueError(f"it is nested deeper than {DEEPEST} levels")
            continue
        if isinstance(event, AliasEvent):
            if anchor not in sizes:
                raise ValueError(f"*{anchor} stands for itself, or for nothing")
            size = sizes[anchor]
        elif isinstance(event, CollectionEndEvent):
            anchor, size = anchors.pop(), counts.pop() + 1
        elif not isinstance(event, ScalarEvent):
            continue
        elif len(event.value) > LONGEST:
            raise ValueError(f"a name or value is longer than {LONGEST:,} characters: {event.value[:20]}...")
        sizes[anchor] = size
        counts[-1] += size
        if counts[-1] > MOST:
            raise ValueError(f"it holds more than {MOST:,} values, with every alias written out")


def _refuse_other_keys(values: Any) -> None:
    """Raises ValueError for a name that is no text, at any depth."""
    if isinstance(values, dict):
        for name in values:
            if not isinstance(name, str):
                raise ValueError(f"a name must be a text, {name!r} is none: put it in quotes")
    if isinstance(values, dict | list):
        for entry in values.values() if isinstance(values, dict) else values:
            _refuse_other_keys(entry)

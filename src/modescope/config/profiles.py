"""Writing a profile to params.yaml, comments kept."""

import re
import shutil
from collections import Counter
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from modescope.config import (
    PARAMS,
    PROFILES,
    STANDARD,
    load_params,
    parse_params,
    profile_values,
    read_yaml,
)
from modescope.config.params import of_a_profile
from modescope.dotted import dotted
from modescope.errors import UserError
from modescope.files import atomic_path, put_aside

KEPT_APART = ("dvc.lock", "data/*", "models/*")  # of every profile its own
SHARED = Path("data/raw")  # downloads
MOST_LINES, FIRST_LINES, MOST_SECTIONS = 12, 5, 4  # of what changed


def use_profile(name: str) -> list[str]:
    """Make params.yaml hold the profile's values, and the working folder what the profile's last `dvc repro` left.

    From one profile to another dvc.lock, data and models wait in profiles/NAME/; numbers and pages need not, each
    profile has them in a place of its own (`results`). So no command meets another profile's models, and DVC, which
    reads and writes all of dvc.lock for every stage that it runs, has one profile's stages there. A value that somebody
    changed changes the profile's results, not whose they are.

    Returns:
        one line per changed value, `imbalance.gan.epochs: 10 -> 1`; none (and the file is left alone) where nothing
        changes.

    Raises:
        UserError: unknown profile, or a profile with a value that is refused; params.yaml stays as it was.
    """
    values = profile_values(name)
    parse_params(values, str(PROFILES / f"{name}.yaml"))
    before = _current()
    changes, left = differences(before, values), _profile_of(before)
    if left not in (None, name):
        _move(Path(), PROFILES / left)
    if changes:
        write_params(values, PROFILES / f"{STANDARD}.yaml")
    if left is not None:
        _move(PROFILES / name, Path())
    return changes


def in_short(changes: list[str]) -> list[str]:
    """Changes of a whole profile as a few lines; a few changes as they are."""
    if len(changes) <= MOST_LINES:
        return changes
    first, rest = changes[:FIRST_LINES], changes[FIRST_LINES:]
    sections = Counter(re.split(r"[.:]", change)[0] for change in rest)
    counted = ", ".join(f"{count} of {name}" for name, count in sections.most_common(MOST_SECTIONS))
    return [*first, f"and {len(rest)} more, {counted}: `git diff {PARAMS}` shows them"]


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What turns `old` into `new`, by dotted name in `new`'s order, removals last."""
    before, after = dotted(old), dotted(new)
    changed = [
        f"{key}: {show(before, key)} -> {show(after, key)}"
        for key in after
        if key not in before or before[key] != after[key]
    ]
    return changed + [f"{key}: {show(before, key)} -> (none)" for key in before if key not in after]


def show(values: dict[str, Any], key: str) -> str:
    """A value as YAML writes it."""
    return (
        "(none)"
        if key not in values
        else yaml.safe_dump(values[key], default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    )


def _current() -> dict[str, Any]:
    """Values of params.yaml; none where it cannot be read or is no YAML mapping."""
    try:
        return read_yaml(PARAMS)
    except UserError:
        return {}


def _profile_of(values: dict[str, Any]) -> str | None:
    """The profile whose results values make, changed ones, too; None where they do not say so."""
    try:
        return Path(of_a_profile(values["results"])).name or STANDARD
    except (LookupError, ValueError):
        return None


def _move(source: Path, target: Path) -> None:
    """Move what is KEPT_APART; what a killed move left in its place goes aside."""
    for found in [path for pattern in KEPT_APART for path in sorted(source.glob(pattern)) if path != SHARED]:
        place = target / found.relative_to(source)
        if place.exists():
            put_aside(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(found, place)


def write_params(values: dict[str, Any], layout: Path = PARAMS) -> None:
    """Make params.yaml the text of the file `layout`, with `values` in place of its own where they differ.

    It is checked before params.yaml is replaced.
    """
    editor = YAML()
    editor.width = 10_000
    editor.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    document = editor.load(layout.read_text(encoding="utf-8"))
    lay_over(document, values)
    if PARAMS.is_dir() and not PARAMS.is_symlink():
        _remove_empty(PARAMS)
    with atomic_path(PARAMS) as temporary:
        if values == read_yaml(layout):
            shutil.copyfile(layout, temporary)  # the editor would join lines
        else:
            editor.dump(document, temporary)
        load_params(temporary)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        raise UserError(f"{folder} is a folder, and not an empty one: move it away") from None


def lay_over(document: MutableMapping[str, Any], values: dict[str, Any]) -> None:
    """Set what differs and drop what `values` lacks, so that comments and layout of the rest stay."""
    for key in [key for key in document if key not in values]:
        del document[key]
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(document.get(key), MutableMapping):
            lay_over(document[key], value)
        elif key not in document or document[key] != value:
            document[key] = _in_one_line(value)


def _in_one_line(value: Any) -> Any:
    """A list, or a mapping where there was none."""
    if not isinstance(value, list | dict):
        return value
    collection = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
    collection.fa.set_flow_style()
    return collection

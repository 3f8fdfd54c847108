"""Writing a profile to params.yaml, comments kept."""

import shutil
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from modescope.config import (
    PARAMS,
    PROFILES,
    load_params,
    parse_params,
    profile_name,
    profile_names,
    profile_values,
    read_yaml,
)
from modescope.dotted import dotted
from modescope.errors import UserError
from modescope.files import atomic_path

LOCK = Path("dvc.lock")


def use_profile(name: str) -> list[str]:
    """Make params.yaml hold the profile's values, and dvc.lock what the profile's last `dvc repro` left.

    From one profile to another dvc.lock waits in profiles/NAME.lock: hardly a stage of another profile is up to date,
    and DVC reads and writes all of it for every stage that it runs, seconds each time. Values of no profile keep it
    where it is.

    Returns:
        one line per changed value, `imbalance.gan.epochs: 10 -> 1`; none (and the file is left alone) where nothing
        changes.

    Raises:
        UserError: unknown profile, or a profile with a value that is refused; params.yaml stays as it was.
    """
    values = profile_values(name)
    parse_params(values, str(PROFILES / f"{name}.yaml"))
    changes = differences(_current(), values)
    if changes:
        left = _current_profile()
        _write(values)
        _change_lock(left, name)
    return changes


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


def _current_profile() -> str | None:
    """The profile that params.yaml holds; None for values of none, or a file that is refused."""
    try:
        name = profile_name(load_params())
    except UserError:
        return None
    return name if name in profile_names() else None


def _change_lock(old: str | None, new: str) -> None:
    if old is None:
        return
    if LOCK.exists():
        LOCK.replace(PROFILES / f"{old}.lock")
    if (PROFILES / f"{new}.lock").exists():
        (PROFILES / f"{new}.lock").replace(LOCK)


def _write(values: dict[str, Any]) -> None:
    """The text of the standard profile, with `values` in place of its own where they differ.

    It is checked before params.yaml is replaced.
    """
    standard = PROFILES / "standard.yaml"
    editor = YAML()
    editor.width = 10_000
    editor.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    document = editor.load(standard.read_text(encoding="utf-8"))
    lay_over(document, values)
    if PARAMS.is_dir() and not PARAMS.is_symlink():
        _remove_empty(PARAMS)
    with atomic_path(PARAMS) as temporary:
        if values == read_yaml(standard):
            shutil.copyfile(standard, temporary)  # the editor would join lines
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
            document[key] = _in_one_line(value) if isinstance(value, list) else value


def _in_one_line(items: list[Any]) -> CommentedSeq:
    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence

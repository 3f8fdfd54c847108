"""What a stage has read must still lie there when it ends.

DVC hashes parameters and inputs after the command, and records what lies there by then as what the output was made of
(treeverse/dvc issue 11058).
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from modescope.errors import UserError
from modescope.files import PARAMS, put_aside

CODE = Path("data/code")
SMALL = 65_536  # bytes: a file up to here is compared by its content, a larger one by its size and time

_noted: dict[Path, Any] = {}  # file -> what it was like when the stage began
_places: list[Path] = []


class Declared(NamedTuple):
    """What dvc.yaml says of a stage: keys of params.yaml, and paths."""

    keys: list[str]
    inputs: list[Path]
    outputs: list[Path]


def note_inputs(arguments: Iterable[str]) -> None:
    """Remember what a stage that DVC runs is about to read: params.yaml, and what lies where its arguments point."""
    if "DVC_STAGE" in os.environ:
        _places[:] = [PARAMS, CODE, *(Path(word) for word in arguments if os.path.exists(word))]
        _noted.clear()
        _noted.update(_look())


def refuse_changes() -> None:
    """Raises UserError, and puts the stage's outputs aside, if what it depends on is not what it was when it began."""
    if not _noted:
        return
    now = _look()
    changed = [path for path in _noted | now if _noted.get(path) != now.get(path)]
    if not changed:
        return
    declared = _declared(os.environ["DVC_STAGE"])  # takes a second, and hardly ever
    change = next(filter(None, (_described(path, now.get(path), declared) for path in changed)), None)
    if change is not None:
        aside = [put_aside(path) for path in (declared.outputs if declared else ()) if path.exists()]
        kept = f", the output is kept as {', '.join(map(str, aside))}" if aside else ""
        raise UserError(
            f"{change} while the stage ran, and would be recorded as what made its output{kept}: run `dvc repro` again"
        )


def _look() -> dict[Path, Any]:
    files = [file for place in _places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    return {file: _state(file) for file in files if file.is_file() and "__pycache__" not in file.parts}


def _state(file: Path) -> Any:
    found = file.stat()
    return file.read_bytes() if found.st_size <= SMALL else (found.st_size, found.st_mtime_ns)


def _declared(stage: str) -> Declared | None:
    """None if dvc.yaml has no such stage any more."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            found = repo.stage.load_one(name=stage)
            keys = [key for dep in found.params for key in dep.params]
            inputs = [Path(dep.def_path) for dep in found.deps if dep not in found.params]
            return Declared(keys, inputs, [Path(out.def_path) for out in found.outs])
    except (DvcException, OSError, ValueError, KeyError):
        return None


def _described(path: Path, now: Any, declared: Declared | None) -> str | None:
    """How a file changed, if the stage depends on it."""
    if path != PARAMS:
        counts = declared is None or any(path.is_relative_to(place) for place in declared.inputs)
        return f"{path} changed" if counts else None
    if declared is None or now is None:
        return f"{path} changed"
    from modescope.config.profiles import differences
    from modescope.config.reading import parse_yaml

    changes = differences(*(parse_yaml(text.decode(), str(PARAMS)) for text in (_noted[PARAMS], now)))
    starts = tuple(f"{key}{end}" for key in declared.keys for end in ".:")
    return next((f"{path} changed ({change})" for change in changes if change.startswith(starts)), None)

"""Files that a kill left half written."""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import yaml

from modescope.doctor.commits import git, holds
from modescope.doctor.finding import Finding
from modescope.files import atomic_path

SCRATCH = re.compile(r"\.(.+)-[a-z0-9_]{8}")  # of `files.atomic_path`
PLACES = ("data", "models", "metrics", "reports", "profiles", ".ckpt")
LOCK, HEADER = "dvc.lock", "schema: '2.0'\nstages:\n"


def half_written(folder: Path) -> Iterator[Finding]:
    """Hidden folders in which a file or folder was being written."""
    hidden = [*folder.glob(".*-*"), *(path for place in PLACES for path in sorted((folder / place).rglob(".*-*")))]
    for place in hidden:
        match = SCRATCH.fullmatch(place.name)
        if match and place.is_dir() and {path.name for path in place.iterdir()} <= {match[1]}:
            yield Finding(
                f"{match[1]} was being written when its writer was killed",
                f"rm -r {place.relative_to(folder)}",
                partial(shutil.rmtree, place),
            )


def torn_lock(folder: Path) -> Iterator[Finding]:
    """dvc.lock, which DVC writes in place, cut off."""
    file = folder / LOCK
    if not file.exists():
        return
    text = file.read_text(encoding="utf-8")
    known = f"HEAD:./{LOCK}"
    committed = git(folder, "show", known) + "\n" if holds(folder, "cat-file", "-e", known) else ""
    if _is_whole(text) or not (text or committed):
        return
    source = "missing stages are taken from the last commit, else from the run cache"
    what = f"{LOCK} is cut off: DVC was killed while it wrote it ({source})"
    yield Finding(what, "modescope doctor --mend", partial(_complete, file, text, committed))


def _is_whole(text: str) -> bool:
    try:
        stages = (yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages")
        return text.endswith("\n") and all("cmd" in stage for stage in stages.values())
    except (yaml.YAMLError, AttributeError, TypeError):
        return False


def _complete(file: Path, text: str, committed: str) -> None:
    """All but the last, broken entry, and what else the last commit knew."""
    whole = _entries(text)
    if whole:
        whole.popitem()
    with atomic_path(file) as temporary:
        temporary.write_text(HEADER + "".join({**_entries(committed), **whole}.values()), encoding="utf-8")


def _entries(text: str) -> dict[str, str]:
    """Stage -> its lines."""
    blocks = re.split(r"(?m)^(?=  \S)", text)[1:]
    return {block.partition(":")[0]: block for block in blocks}

"""Files that a kill or a power cut left half written."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import yaml

from modescope.doctor.commits import holds
from modescope.doctor.finding import Finding, leftover
from modescope.files import OUTPUT_FOLDERS, SCRATCH, atomic_path, put_aside
from modescope.runs.folder import CHECKPOINT_FILE, WORK_FOLDERS, check_parts
from modescope.runs.git import git

OURS = re.compile(rf"\.(.+)-[a-z0-9_]{{8}}{re.escape(SCRATCH)}")  # of `files.atomic_path`
LOCK, HEADER, EMPTY = "dvc.lock", "schema: '2.0'\nstages:\n", "schema: '2.0'\nstages: {}\n"
ENTRY = re.compile(r"(?m)^(?=  [^\s#])")  # where a stage's lines begin
OTHER_SIDE = {  # what `git merge` writes, to be left out so that one side remains
    "ours": re.compile(r"(?ms)^<{7}( .*?)?\n|^(\|{7}( .*?)?\n.*?)?^={7}\n.*?^>{7}( .*?)?\n"),
    "theirs": re.compile(r"(?ms)^<{7}( .*?)?\n.*?^={7}\n|^>{7}( .*?)?\n"),
}


def half_written(folder: Path) -> Iterator[Finding]:
    """Hidden folders in which a file or folder was being written."""
    pattern = f".*-*{SCRATCH}"
    hidden = [
        *folder.glob(pattern),
        *(path for place in OUTPUT_FOLDERS for path in sorted((folder / place).rglob(pattern))),
    ]
    for place in hidden:
        match = OURS.fullmatch(place.name)
        if match and place.is_dir() and {path.name for path in place.iterdir()} <= {match[1]}:
            yield leftover(folder, f"{match[1]} was being written when its writer was killed", place)


def damaged_checkpoints(folder: Path) -> Iterator[Finding]:
    """Checkpoints from which no training can go on, after a power cut, say."""
    for file in sorted((folder / WORK_FOLDERS).glob(f"*/{CHECKPOINT_FILE}")):
        try:
            check_parts(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, zlib.error, struct.error) as error:
            yield leftover(folder, f"a checkpoint is damaged ({error}), its training starts over", file)


def torn_lock(folder: Path) -> Iterator[Finding]:
    """dvc.lock, which DVC writes in place, cut off; or with both sides of a merge."""
    file = folder / LOCK
    if not file.exists():
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    known = f"HEAD:./{LOCK}"
    committed = git(folder, "show", known) if holds(folder, "cat-file", "-e", known) else ""
    if is_whole(text) or not (text or committed):
        return
    ours, theirs = (OTHER_SIDE[side].sub("", text) for side in ("ours", "theirs"))
    if ours != text:
        what = f"{LOCK} has both sides of a merge (this branch's is kept, and what only the other knows)"
        whole = [committed, theirs, ours]
    else:
        source = "missing stages are taken from the last commit, else from the run cache"
        what = f"{LOCK} is cut off: DVC was killed while it wrote it ({source})"
        whole = [committed, text[: _end_of_whole_entries(text)]]
    yield Finding(what, "modescope doctor --mend", partial(_write_lock, file, whole))


def is_whole(text: str) -> bool:
    try:
        stages = (yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages")
        return text.endswith("\n") and all("cmd" in stage for stage in stages.values())
    except (yaml.YAMLError, AttributeError, TypeError):
        return False


def _end_of_whole_entries(text: str) -> int:
    """Where the last entry begins, which is broken."""
    return max((found.start() for found in ENTRY.finditer(text)), default=0)


def _write_lock(file: Path, texts: list[str]) -> list[Path]:
    """The stages of all `texts`, as the last that has them says."""
    aside = put_aside(file, copy=True)
    blocks = [block for text in texts for block in ENTRY.split(text)[1:] if is_whole(HEADER + block)]
    entries = {block.partition(":")[0]: block for block in blocks}
    with atomic_path(file) as temporary:
        temporary.write_text(HEADER + "".join(entries.values()) if entries else EMPTY, encoding="utf-8")
    return [aside]

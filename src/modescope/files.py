"""Where things lie, and writing that is never half done."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from modescope.errors import UserError, blaming

PARAMS = Path("params.yaml")
OUTPUT_FOLDERS = ("data", "models", "metrics", "reports", "profiles", "exports", "released", ".ckpt")
OURS = "not what the pipeline wrote"
SCRATCH = ".modescope"  # ends the name of every folder in which `atomic_path` writes
TROUBLES = {  # what a disk refuses, and what to do
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on files (`ulimit -f`)",
    errno.EIO: "look after the disk",
    errno.EROFS: "make the folder writable",
    errno.EACCES: "give yourself the right to it",
    errno.EPERM: "give yourself the right to it",
}
ASIDE = Path(".dvc/tmp/aside")  # neither git nor DVC looks there


def root() -> Path:
    """The repository: `$DVC_ROOT` inside a DVC stage (the parent repository in a temporary workspace), else the working
    folder.
    """
    folder = Path(os.environ.get("DVC_ROOT") or ".").resolve()
    if not str(folder).isprintable():
        raise UserError(f"{str(folder)!r} has a character that cannot be printed: rename the folder")
    return folder


@contextmanager
def atomic_path(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling of `path` (to become a file or a folder); it takes `path`'s place on success and
    vanishes on failure.

    Args:
        durable: whether it is whole after a power cut, too.

    Raises:
        UserError: at once, if `path` is a folder that is not the pipeline's to replace.
    """
    path = Path(path)
    refuse_foreign_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=SCRATCH, dir=path.parent))
    try:
        temporary = scratch / path.name
        with writing(path, scratch):
            yield temporary
            if durable:
                _flush(temporary)
            if path.is_dir() and temporary.is_dir():
                shutil.rmtree(path)
            os.replace(temporary, path)
            if durable:
                _flush(path.parent, deep=False)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def writing(path: Path, scratch: Path | None = None) -> Iterator[None]:
    """What a disk refuses inside is an OSError that names `path`, also where a library hides it.

    Args:
        scratch: where `path` is being written meanwhile.
    """
    try:
        yield
    except Exception as error:
        named = getattr(error, "filename", None)
        code = trouble(error)
        if code is None or (named and not (scratch and Path(named).is_relative_to(scratch))):
            raise
        raise OSError(code, os.strerror(code), str(path)) from error


def trouble(error: Exception) -> int | None:
    """The number of the one of `TROUBLES` that an error stands for or hides; None for other errors.

    torch.save says `inline_container.cc: unexpected pos`, safetensors prints what the system said.
    """
    if isinstance(error, UserError):
        return None
    code, text = getattr(error, "errno", None), str(error)
    if code in TROUBLES:
        return code
    if ("inline_container.cc" in text and "unexpected pos" in text) or "basic_ios" in text:
        return getattr(error.__context__, "errno", None) or errno.ENOSPC
    return next((code for code in TROUBLES if os.strerror(code) in text), None)


def _flush(path: Path, deep: bool = True) -> None:
    """Wait until a file, or a folder with all that is in it, has reached the disk."""
    for each in (*(path.rglob("*") if deep else ()), path):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refuse_foreign_folder(path: Path) -> None:
    """Raises UserError if `path` is a folder with content that lies outside the pipeline's own folders.

    Those are what is below a folder of `OUTPUT_FOLDERS` in the repository or in the workspace.
    """
    real = path.resolve()
    homes = [(base / name).resolve() for base in (root(), Path.cwd()) for name in OUTPUT_FOLDERS]  # data/ may be a link
    is_ours = not path.is_symlink() and any(home in real.parents for home in homes)
    if path.is_dir() and any(path.iterdir()) and not is_ours:
        raise UserError(
            f"{path} is a folder that the pipeline did not make, it would be deleted: "
            f"name a new one, or one below {', '.join(f'{name}/' for name in OUTPUT_FOLDERS[:-1])}"
        )


def put_aside(path: Path, copy: bool = False) -> Path:
    """Move (or copy) a file or a folder to where it disturbs nobody, a dated folder; return its new place."""
    (root() / ASIDE).mkdir(parents=True, exist_ok=True)
    dated = Path(tempfile.mkdtemp(prefix=f"{datetime.now():%Y-%m-%dT%H.%M.%S}-", dir=root() / ASIDE))
    return Path((shutil.copy2 if copy else shutil.move)(path, dated / path.name))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically. NaN and infinity are refused (ValueError)."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, what: str = OURS, /, **wanted: type) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        what: how a file without what is wanted is called.
        wanted: what it must have: key -> type.

    Raises:
        UserError: the file is missing, no JSON object, or without what is wanted.
    """
    try:
        content = json.loads(_existing(path).read_text(encoding="utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): delete it and run `dvc repro`") from None
    with as_written(path, what):
        if not isinstance(content, dict):
            raise TypeError(f"it is a {type(content).__name__}")
        for key, kind in wanted.items():
            if not isinstance(content.get(key), kind):
                raise TypeError(f"it has no `{key}` of type {kind.__name__}")
    return content


def as_written(path: Path, what: str = OURS) -> AbstractContextManager[None]:
    """Use inside what was read from a file. Raises UserError for what is not as the pipeline writes it."""
    return blaming(f"{path} is {what}")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes. Raises UserError if it is missing."""
    with open(_existing(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _existing(path: Path) -> Path:
    """Raises UserError if there is no such file."""
    if not Path(path).is_file():
        raise UserError(f"{path} is missing: run `dvc repro`, or `dvc checkout` if it ran before")
    return Path(path)

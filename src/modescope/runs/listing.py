"""Which runs lie in the files: finished ones, and those that died in their work folders."""

from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from modescope.errors import UserError
from modescope.files import read_json, root, write_json
from modescope.runs.folder import RUN_FILE, WORK_FOLDERS, read_run
from modescope.runs.locks import lock_file, try_lock

MODELS, RELEASED, SCORED, INSIDE = Path("models"), Path("released"), Path("data/scored"), Path("data/inside")


def finished_runs(folder: Path) -> list[Path]:
    """Folders of runs as the pipeline leaves them (hidden folders are half-written ones)."""
    files = [
        file
        for pattern in ("data/reference*/*", f"{INSIDE}/*/*", f"{SCORED}/*/*", "models/**")
        for file in sorted(folder.glob(f"{pattern}/{RUN_FILE}"))
    ]
    return [file.parent for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def interrupted_runs(folder: Path) -> list[Path]:
    """Work folders that no process holds, of runs that have not been finished since; a dead one is marked killed."""
    finished = {_key(place) for place in finished_runs(folder)} - {None}
    return [place for place in _dead_work_folders() if _key(place) not in finished]


def _key(place: Path) -> str | None:
    """A run's key; None for a record that cannot be read, which is said by whoever needs the rest of it."""
    try:
        return read_run(place)["key"]
    except UserError:
        return None


def _dead_work_folders() -> Iterator[Path]:
    for file in _work_files():
        held = try_lock(lock_file(file.parent))
        if held is None:
            continue
        with held, suppress(UserError):
            info = read_run(file.parent)
            if info["status"] == "running":
                write_json(file, {**info, "status": "killed"})
        yield file.parent


def _work_files() -> list[Path]:
    return sorted((root() / WORK_FOLDERS).glob(f"*/{RUN_FILE}"))


def find_generator(name: str, released: bool = False) -> Path:
    """Folder of a trained generator.

    Args:
        released: take the one in released/ where models/ has none of that name.

    Raises:
        UserError: there is none of that name; the message names those there are.
    """
    files = [
        file for place in ([RELEASED] if released else []) + [MODELS] for file in sorted(place.glob(f"*/*/{RUN_FILE}"))
    ]
    folders = {file.parent.name: file.parent for file in files if file.parent.parent.name != "classifiers"}
    if name not in folders:
        known = ", ".join(folders) or "none yet (`dvc repro` trains them, `dvc checkout` brings them back)"
        raise UserError(f"unknown run `{name}`: there are {known}")
    return folders[name]


def matching_runs(patterns: list[str]) -> list[Path]:
    """Folders of trained runs whose names match any of the patterns (`cgan-*`), each once, in the patterns' order.

    Raises UserError for a pattern that none matches.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        files = [file for file in sorted(MODELS.glob(f"*/*/{RUN_FILE}")) if fnmatchcase(file.parent.name, pattern)]
        if not files:
            find_generator(pattern)  # which names those there are
        found |= dict.fromkeys(file.parent for file in files)
    return list(found)


def refuse_unfinished(run: str) -> None:
    """Raises UserError if a run of that name is being trained, or was, and none is finished."""
    if any(MODELS.glob(f"*/{run}/{RUN_FILE}")):
        return
    for info in (read_json(file, run=str, status=str) for file in _work_files()):
        if info["run"] == run:
            raise UserError(f"run {run} is {info['status']}, not finished: `dvc repro` finishes it")

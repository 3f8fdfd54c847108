"""Living processes of DVC and of ours."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil

from modescope.doctor.finding import Finding
from modescope.errors import UserError
from modescope.process import STARTER

SECONDS_TO_CLOSE = 10
STAGE = "modescope.stages."
LOOKING_ON = {"ui", "doctor"}  # commands of ours that write no files of the repository


def at_work(folder: Path) -> str | None:
    """A DVC or Modescope process that works in the repository, in words. Orphans and this process do not count."""
    for process in _inside(folder):
        if (is_dvc(process.info["cmdline"]) or is_ours(process.info["cmdline"])) and not _is_orphan(process):
            return f"`{_shown(process)}` (process {process.pid})"
    return None


def pipeline_at_work(folder: Path) -> str | None:
    """A `dvc repro`, `dvc exp run`, `modescope sweep` or stage that reads the params.yaml of `folder`, in words."""
    for process in _inside(folder):
        command = process.info["cmdline"]
        runs = bool({"repro", "sweep"} & set(command)) or {"exp", "run"} <= set(command)
        if Path(process.info["cwd"]) == folder and (
            _is_stage(command) or runs and (is_dvc(command) or is_ours(command))
        ):
            return f"`{_shown(process)}` (process {process.pid})"
    return None


def refuse_a_pipeline_at_work(folder: Path) -> None:
    """Raises UserError while a pipeline reads the params.yaml of `folder`."""
    busy = pipeline_at_work(folder)
    if busy is not None:
        raise UserError(f"{busy} reads params.yaml, which must not change under it: wait until it ends, or end it")


def orphans(folder: Path) -> Iterator[Finding]:
    """Stages whose DVC is gone, and MLflow's servers whose `modescope ui` is."""
    for process in _inside(folder):
        if _is_orphan(process):
            what = (
                "a stage trains on although its DVC is gone"
                if _is_stage(process.info["cmdline"])
                else "MLflow's server goes on although its `modescope ui` is gone"
            )
            yield Finding(f"{what}: `{_shown(process)}`", f"kill {process.pid}", partial(_end, process))


def is_dvc(command: Sequence[str]) -> bool:
    return any(Path(word).name == "dvc" for word in command[:3])


def is_ours(command: Sequence[str]) -> bool:
    by_name = any(Path(word).name == "modescope" for word in command[:2]) and not LOOKING_ON & set(command)
    return by_name or _is_stage(command)


def starts_stages(command: Sequence[str]) -> bool:
    """DVC, `modescope repro`, or a worker of Ray."""
    return is_dvc(command) or is_ours(command) or command[0].startswith("ray::")


def runs_git(folder: Path) -> bool:
    return any(Path(process.info["cmdline"][0]).name == "git" for process in _inside(folder))


def _inside(folder: Path) -> Iterator[psutil.Process]:
    """Processes whose working folder is in `folder`, with their `cmdline`."""
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    for process in psutil.process_iter(["cmdline", "cwd"]):
        place = process.info["cwd"]  # None for a zombie and for another user's
        if process.info["cmdline"] and place and Path(place).is_relative_to(folder) and process.pid not in mine:
            yield process


def _is_orphan(process: psutil.Process) -> bool:
    """Whether what started it, a stage's DVC or a server's `modescope ui`, is none of its ancestors."""
    try:
        given, ancestors = process.environ(), process.parents()
        if _is_stage(process.info["cmdline"]):
            return "DVC_STAGE" in given and not any(starts_stages(each.cmdline()) for each in ancestors)
        return STARTER in given and given[STARTER] not in {str(each.pid) for each in (process, *ancestors)}
    except psutil.Error:  # it has just ended, or is another user's
        return False


def _is_stage(command: Sequence[str]) -> bool:
    return any(word.startswith(STAGE) for word in command)


def _shown(process: psutil.Process) -> str:
    command = process.info["cmdline"]
    words = command[1:] if Path(command[0]).name.startswith("python") else command
    return " ".join([Path(words[0]).name, *words[1:]][:6])


def _end(process: psutil.Process) -> None:
    """Let it close its run; kill it if it takes too long."""
    try:
        process.terminate()
        process.wait(SECONDS_TO_CLOSE)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(SECONDS_TO_CLOSE)
    except psutil.NoSuchProcess:  # it ended with another
        pass

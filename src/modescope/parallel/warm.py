"""Warm starts: a stage's Python is forked from one that has imported torch, torchmetrics and MLflow.

These imports take five seconds of CPU time, most of what a small stage takes. A stage's own code is imported anew, from
the folder that its command names.
"""

import ctypes
import importlib
import multiprocessing
import os
import re
import runpy
import shlex
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

import dvc.stage.run
from dvc.stage.exceptions import StageCmdFailedError

from modescope.parallel.machine import threads_of

PACKAGE = __name__.partition(".")[0]
PR_SET_NAME = 15  # man 2 prctl
READY = "MODESCOPE_PRELOADED"  # in the fork server's environment: the file that says that it is ready
COMMAND = re.compile(r"(?:exec +)?env +((?:\w+=\S* +)*)python -m +(\S+)(.*)", re.DOTALL)
OF_THE_SHELL = re.compile(r"[$`\\;&|<>(){}\[\]*?~#!\n]")


class Module(NamedTuple):
    """A command that is `env NAME=VALUE ... python -m NAME ARGUMENTS` and asks nothing else of the shell."""

    environment: dict[str, str]
    name: str
    arguments: list[str]

    @classmethod
    def of(cls, command: str) -> "Module | None":
        """None for any other command, and for modules that are not ours."""
        found = COMMAND.fullmatch(command)
        if not found or OF_THE_SHELL.search(command) or not found[2].startswith(f"{PACKAGE}."):
            return None
        return cls(dict(word.split("=", 1) for word in found[1].split()), found[2], shlex.split(found[3]))


class Forks:
    """Where workers come from: forks of this process until Python's fork server has `preloaded`, then forks of that.

    It begins with the second stage of ours, while the first ones run: one alone is done sooner without.

    Attributes:
        ready: a file that is there once it has.
    """

    def __init__(self, folder: Path):
        self.ready, self._before = folder / "preloaded", 0

    def context(self, pipeline: str) -> Any:
        """The context of multiprocessing for a worker that runs the stage of this dvc.yaml."""
        if f"python -m {PACKAGE}." not in pipeline:
            return multiprocessing.get_context("fork")
        if self._before == 1:
            self._begin()
        self._before += 1
        return multiprocessing.get_context("forkserver" if self.ready.exists() else "fork")

    def _begin(self) -> None:
        # Python starts the server anew with these, should it die. No process can change the first: all stages have it.
        os.environ |= {"PYTHONUTF8": "1", READY: str(self.ready)}
        multiprocessing.get_context("forkserver").set_forkserver_preload([f"{__package__}.preloaded"])
        forkserver.ensure_running()


def start_stages() -> None:
    """From now on DVC, in this process, starts such commands by a fork of it, if it has `preloaded`.

    With more threads than one it does not: how they wait for each other must be said before torch is imported.
    """
    plain = dvc.stage.run._run
    if "torch" not in sys.modules:
        return

    def run(executable: str | None, command: str, **options: Any) -> None:
        module = Module.of(command)
        if module is None or threads_of(options["cwd"]) != 1:
            return plain(executable, command, **options)
        environment = options["env"] | module.environment
        stage = multiprocessing.get_context("fork").Process(
            target=become, args=(module.name, module.arguments, environment, options["cwd"])
        )
        stage.start()
        stage.join()
        if stage.exitcode:
            raise StageCmdFailedError(command, stage.exitcode)

    dvc.stage.run._run = run


def become(module: str, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
    """What `python -m MODULE ARGUMENTS` does, in this process, which goes on as that."""
    ours = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
    kept = [sys.modules.pop(name) for name in ours]  # until the end: torch's operators live as long as what named them
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, environment["DVC_STAGE"].encode())  # as `top` shows it
    sources = [os.path.abspath(place) for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [folder, *sources, *sys.path]
    sys.argv[:] = ["-m", *arguments]
    importlib.invalidate_caches()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    kept.clear()

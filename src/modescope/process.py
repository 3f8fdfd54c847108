"""What every process of ours does: start fast, die with its parent, stop on signals, and say errors in one line."""

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any

import typer

from modescope.errors import UserError, masked, say
from modescope.files import TROUBLES, trouble
from modescope.inputs import note_inputs, refuse_changes
from modescope.threads import tell_torch

PR_SET_PDEATHSIG = 1
STARTER = "MODESCOPE_STARTED_BY"  # in the environment of a server of ours: the process with which it ends
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # man 3 mallopt


def run_stage(main: Callable[..., None]) -> None:
    """Run a stage's `main`, whose typed arguments become the command line, and exit.

    Exit codes: 0 done, 2 the user can mend it (one line on stderr), 1 our own fault.
    """
    gc.freeze()  # what is imported by now, see `uncollected`
    keep_freed_memory()
    tell_torch()
    sys.stdout.reconfigure(line_buffering=True)
    die_with_parent()
    stop_on_signals()
    if not ("DVC_STAGE" in os.environ and sys.stdout.isatty()):  # to a pipe DVC says it later
        print(f"stage {stage_name()}")
    note_inputs(sys.argv[1:])

    @wraps(main)
    def command(*arguments: Any, **options: Any) -> None:
        main(*arguments, **options)
        refuse_changes()

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)
    exit_readably(app)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the system.

    Large tensors are made and freed in every step, and each new page costs a fault: a sixth of a DCGAN's step on a
    CPU, a fourth of an adapter's with 256 pixels.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def uncollected() -> Iterator[None]:
    """Import something large inside: Python's cycle collector pauses, and ignores these objects from then on.

    Modules live as long as the process. Traversing them repeatedly takes a fourth of a stage's start, and time at
    its end.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def stage_name() -> str:
    """DVC's name of the running stage (`imbalance@gan-split1`), else the module that is run."""
    spec = sys.modules["__main__"].__spec__
    return os.environ.get("DVC_STAGE") or (spec.name.rpartition(".")[2] if spec else "modescope")


def die_with_parent() -> None:
    """Get SIGTERM when the parent dies (Linux); exit now if DVC started this process and is gone already.

    A process whose parent died is adopted by process 1, which leads another session, unless it is DVC itself in a
    container.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1 and "DVC_STAGE" in os.environ and os.getsid(1) != os.getsid(0):
        sys.exit(128 + signal.SIGTERM)


def stop_on_signals() -> None:
    """Turn SIGTERM and SIGINT into SystemExit (143, 130), so that `with` blocks close; ignore further ones."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def exit_readably(command: Callable[[], Any]) -> None:
    """Call `command`. What the user can mend is one line on stderr and exit code 2; our own faults are a traceback (1).

    A character that the terminal's encoding lacks is printed as an escape, a password not at all.
    """
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command()
    except UserError as error:
        _refuse(str(error))
    except Exception as error:
        line = missing_package(error) or disk_trouble(error) or memory_trouble(error)
        if line is None:
            sys.stderr.write(masked(traceback.format_exc()))
            sys.exit(1)
        _refuse(line)


def _refuse(message: str) -> None:
    say(message)
    sys.exit(2)


def missing_package(error: Exception) -> str | None:
    """One line for a package that is not installed; None for a module of ours or a part of a package."""
    name = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if name in (None, "modescope") or "." in name:
        return None
    return f"the package {name} is not installed: `pip install -r requirements.lock` installs what Modescope needs"


def memory_trouble(error: Exception) -> str | None:
    """One line for memory that torch, NumPy or Python asked for in vain, on a GPU, too; else None."""
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return f"not enough memory ({text[:200]}): lower batch sizes, widths or numbers of images"
    return None


def disk_trouble(error: Exception) -> str | None:
    """One line for a full disk or a file without permission, also where a library hides the OSError; else None."""
    code = trouble(error)
    if code is None:
        return None
    place = getattr(error, "filename", None) or "a file"
    advice = f"{TROUBLES[code]}, then run it again (it goes on where it stopped)"
    return f"cannot write {place}: {os.strerror(code).lower()}; {advice}"

"""A stage's process: typed arguments, one line for the user's errors, and no orphans."""

import errno
import gc
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import psutil
import pytest
import yaml

from modescope import process
from modescope.process import disk_trouble, stage_name, uncollected

STAGE = """
import errno, os, time
from pathlib import Path
from typing import Literal
from modescope.errors import UserError
from modescope import process
from modescope.process import run_stage

def main(what: Literal["work", "user", "disk", "bug", "wait"], out: Path, count: int = 1) -> None:
    if what == "user":
        raise UserError("the split is too small:\\n  take fewer images")
    if what == "disk":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if what == "bug":
        raise ZeroDivisionError("http://me:secret@host: ours")
    try:
        print(f"{out.name} {count + 1}")
        time.sleep(60 if what == "wait" else 0)
    finally:
        if what == "wait":
            out.write_text("closed")

if __name__ == "__main__":
    run_stage(main)
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Starts the stage above as a module of its own."""
    monkeypatch.delenv("DVC_STAGE", raising=False)
    (tmp_path / "little.py").write_text(STAGE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1] / "src"), str(tmp_path)]))
    return lambda *arguments: [sys.executable, "-m", "little", *map(str, arguments)]


def run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_arguments_are_typed_and_the_first_line_names_the_stage(command, monkeypatch):
    done = run(command("work", "a/b", "--count", 4))
    assert (done.returncode, done.stdout, done.stderr) == (0, "stage little\nb 5\n", "")
    monkeypatch.setenv("DVC_STAGE", "little@one")
    assert run(command("work", "a/b")).stdout.startswith("stage little@one\n")


@pytest.mark.parametrize(
    "what, code, words",
    [
        ("user", 2, "modescope: the split is too small: take fewer images"),
        ("disk", 2, "no space left on device; free some space"),
    ],
)
def test_what_the_user_can_mend_is_one_line(command, what, code, words):
    done = run(command(what, "out"))
    assert done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1


def test_a_terminal_without_a_character_gets_its_escape(monkeypatch):
    """As under LC_ALL=POSIX, or en_US.ISO-8859-1, where Python's UTF-8 mode is off."""
    code = "from modescope.process import exit_readably; exit_readably(lambda: print(chr(0x2193)))"
    for name, value in {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    done = run([sys.executable, "-c", code])
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\u2193\n", "")


def test_stages_run_in_pythons_utf8_mode_under_any_locale(monkeypatch):
    command = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["vars"][0]["run"]
    monkeypatch.setenv("LC_ALL", "en_US.ISO-8859-1")
    asked = command.replace("-m modescope.stages", "-c 'import sys; print(sys.flags.utf8_mode)'")
    assert run(["sh", "-c", asked]).stdout == "1\n" and asked != command


def test_our_fault_is_a_traceback_without_passwords(command):
    done = run(command("bug", "out"))
    assert "http://me:***@host" in done.stderr and "secret" not in done.stderr
    assert (
        done.returncode == 1
        and "Traceback" in done.stderr
        and done.stderr.endswith("ZeroDivisionError: http://me:***@host: ours\n")
    )


@pytest.mark.parametrize("arguments", [("dance", "out"), ("work",), ("work", "out", "--count", "x")])
def test_a_wrong_command_line_is_the_users_error(command, arguments):
    done = run(command(*arguments))
    assert done.returncode == 2 and "Error: " in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_stage_close_what_it_opened(command, tmp_path, number):
    stage = subprocess.Popen(command("wait", tmp_path / "out"), stdout=subprocess.PIPE, text=True)
    assert [stage.stdout.readline() for _ in range(2)][1] == "out 2\n"
    stage.send_signal(number)
    stage.send_signal(signal.SIGTERM)
    assert stage.wait(10) == 128 + number
    assert (tmp_path / "out").read_text() == "closed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_stage_dies_with_its_parent(command, tmp_path):
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *command("wait", tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert [parent.stdout.readline() for _ in range(2)][1] == "out 2\n"
    (stage,) = psutil.Process(parent.pid).children()
    parent.kill()
    stage.wait(10)
    deadline = time.monotonic() + 10
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "out").read_text() == "closed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize(
    "parent, sessions, by_dvc, ends",
    [
        (1, {1: 1, 0: 70}, True, True),  # adopted by init: DVC is gone
        (1, {1: 1, 0: 1}, True, False),  # DVC itself is process 1 of a container
        (1, {1: 1, 0: 70}, False, False),  # started by hand, without DVC
        (71, {1: 1, 0: 70}, True, False),
    ],
)
def test_a_stage_whose_parent_is_gone_before_it_begins_does_nothing(monkeypatch, parent, sessions, by_dvc, ends):
    monkeypatch.setattr(process.ctypes, "CDLL", lambda _: types.SimpleNamespace(prctl=lambda *_: 0))
    monkeypatch.setattr(os, "getppid", lambda: parent)
    monkeypatch.setattr(os, "getsid", sessions.__getitem__)
    monkeypatch.setenv("DVC_STAGE", "split") if by_dvc else monkeypatch.delenv("DVC_STAGE", raising=False)
    if ends:
        with pytest.raises(SystemExit, match="143"):
            process.die_with_parent()
    else:
        process.die_with_parent()


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.EROFS, "x", "/data/out"), "cannot write /data/out: read-only file system"),
        (PermissionError(errno.EACCES, "x", "/data/out"), "cannot write /data/out: permission denied"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "no space left"),
        (Exception("Error while serializing: I/O error: No space left on device (os error 28)"), "no space left"),
    ],
)
def test_disk_trouble_is_recognised(error, words):
    assert words in disk_trouble(error)


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), FileNotFoundError(errno.ENOENT, "x", "a"), RuntimeError("CUDA out of memory")]
)
def test_other_trouble_is_not(error):
    assert disk_trouble(error) is None


def test_the_stage_has_a_name_outside_dvc(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "split")
    assert stage_name() == "split"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_freed_memory_is_used_again():
    """In a process of its own: page faults of 50 allocations of 64 MiB each."""
    faults = """
import ctypes, resource, sys
from modescope.process import keep_freed_memory
if sys.argv[1] == "keep": keep_freed_memory()
before = 0
for count in range(51):
    bytearray(2**26)
    before = before or resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", faults, how], capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "give")
    )
    assert kept < 1000 and given_back > 100 * kept


def test_the_collector_rests_during_an_import_and_forgets_what_it_made():
    frozen = gc.get_freeze_count()
    with pytest.raises(ImportError), uncollected():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled() and gc.get_freeze_count() > frozen

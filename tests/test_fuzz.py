"""Bad inputs of every kind, drawn from fixed seeds: each is taken or refused in one line, and costs nobody a file.

A kind is a `fuzz.Kind`; tests/fuzz_inputs.py has those of parameters, tests/fuzz_files.py those of other files.
"""

import random
import shutil
import signal
import time
from functools import partial

import pytest

import fuzz_files
import fuzz_inputs
from modescope.process import exit_readably

KINDS = fuzz_inputs.KINDS | fuzz_files.KINDS
LONGEST = 5  # seconds


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Makes the working folder anew, with a user's files in it; a home and other people's files lie beside it."""
    for place in ("home", "outside"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "precious.txt").write_text("mine", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"

    def anew():
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "notes").mkdir(parents=True)
        for name in ("precious.txt", "notes/precious.txt"):
            (folder / name).write_text("mine", encoding="utf-8")
        monkeypatch.chdir(folder)
        return folder

    return anew


def snapshot(folder):
    """Everything below `folder`, with the content of files."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refuse_to_wait(*_):
    raise TimeoutError(f"it takes more than {LONGEST} s")


@pytest.mark.parametrize("name", KINDS)
def test_bad_inputs_are_taken_or_refused_in_one_line(name, work, tmp_path, capsys, monkeypatch):
    kind, generator, refused, seconds = KINDS[name], random.Random(name), 0, 0.0
    previous = signal.signal(signal.SIGALRM, refuse_to_wait)
    for number in range(kind.count):
        given, folder = kind.make(generator), work()
        before = snapshot(tmp_path)
        capsys.readouterr()
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        try:
            with monkeypatch.context() as patched:
                exit_readably(partial(kind.consume, given, folder, patched))
        except SystemExit as ended:
            printed = capsys.readouterr().err
            assert ended.code == 2 and printed.startswith("modescope: ") and printed.count("\n") == 1, (given, printed)
            assert printed[:-1].isprintable(), (given, printed)
            refused += 1
        except Exception as error:
            pytest.fail(f"input {number}, {given!r:.3000}: {error!r}", pytrace=True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = max(seconds, time.monotonic() - began)
        after = snapshot(tmp_path)
        lost = [path for path in before if after.get(path, "gone") != before[path]]
        strays = [path for path in after.keys() - before.keys() if folder not in path.parents]
        assert not lost and not strays, (given, lost, strays)
    signal.signal(signal.SIGALRM, previous)
    assert seconds < LONGEST and refused >= kind.count * kind.refused, f"{refused} of {kind.count} were refused"


def test_there_are_two_thousand():
    assert sum(kind.count for kind in KINDS.values()) >= 2000

"""Kill `dvc repro` and `dvc exp run` at random moments: the next `dvc repro` must end in the same weights and metrics.

    python -m benchmarks.kills --tries 20 --seed 0

Works in a clone of its own (profile `demo`, one GAN and its evaluation, 1,000 steps), prints a line per try and writes
reports/kills.json.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

import psutil
from ruamel.yaml import YAML

from benchmarks.clones import DEMO, commit, copy_of_the_repository, environment, run
from modescope.files import read_json, sha256, write_json

TARGET, NEEDS = "evaluate-imbalance@gan-split4", "reference@split4"  # the stages up to NEEDS run once
WEIGHTS, METRICS = Path("models/imbalance/gan-split4/model.safetensors"), DEMO / "metrics/imbalance/gan-split4.json"
NUM_STEPS = 1000
CLOCKS = {"seconds", "steps_per_second"}  # what differs between two undisturbed runs
SECONDS_TO_DIE = 60  # five are plenty on an idle machine
OFTEN = {"MODESCOPE_CHECKPOINT_SECONDS": "0.2", "MODESCOPE_PUSH_SECONDS": "1"}
REPRO, EXPERIMENT = f"dvc repro {TARGET}", f"dvc exp run {TARGET}"
KILLS: dict[str, tuple[Callable[[int, int], None], signal.Signals]] = {
    "kill -9 of all": (os.killpg, signal.SIGKILL),
    "kill -9 of dvc": (os.kill, signal.SIGKILL),
    "kill of dvc": (os.kill, signal.SIGTERM),
    "Ctrl-C": (os.killpg, signal.SIGINT),
}


@dataclass
class Try:
    """One command that was killed, and what came after.

    Attributes:
        moment: seconds from the start to the kill.
        reached: where the command was.
        died: seconds until the last process was gone.
        found: `modescope doctor`'s findings before the next command, if it needed one.
        resumed_from: step, 0 where training began anew.
        seconds: of the next command.
        same: whether its results are the undisturbed ones.
        left: findings afterwards, of things that disturb no command.
    """

    command: str
    kill: str
    moment: float
    reached: str = ""
    died: float = 0.0
    found: list[str] = field(default_factory=list)
    resumed_from: int = 0
    seconds: float = 0.0
    same: bool = False
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        result = "same" if self.same else "DIFFERENT"
        needed = f"; doctor mended {len(self.found)}" if self.found else ""
        resumed = f" from step {self.resumed_from}" if self.resumed_from else ""
        killed = f"{self.command.split(TARGET)[0]}| {self.kill} at {self.moment:.1f} s ({self.reached})"
        return f"{killed}{needed}; then {self.seconds:.1f} s{resumed}: {result}"


def prepare(folder: Path) -> None:
    """Fill a clone with all that the target needs, and let the training take more of the time than start-up does."""
    run("modescope use demo", folder)
    yaml, file = YAML(), folder / "params.yaml"
    params = yaml.load(file)
    params["imbalance"]["gan"].update(epochs=NUM_STEPS, max_steps=NUM_STEPS)
    yaml.dump(params, file)
    run(f"dvc repro {NEEDS}", folder)
    commit(folder, "inputs")


def forget(folder: Path) -> None:
    """Make the target's two stages new to DVC: no outputs, no entries in dvc.lock, no run cache."""
    run("git reset -q --hard && git clean -fdq profiles models", folder)
    for path in (WEIGHTS.parent, Path(".dvc/cache/runs"), Path(".ckpt")):
        rmtree(folder / path, ignore_errors=True)


def results(folder: Path) -> dict[str, Any]:
    """The weights' hash and the metrics, without those that are times."""
    measured = {name: value for name, value in read_json(folder / METRICS).items() if name not in CLOCKS}
    return {"weights_sha256": sha256(folder / WEIGHTS), "metrics": measured}


def disturb(folder: Path, attempt: Try, expected: dict[str, Any]) -> bool:
    """Start the command, kill it at its moment, repair, run `dvc repro`, and fill in `attempt`.

    Returns:
        False where the command had ended before the kill.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process, began = begin(folder, attempt.command, output), time.monotonic()
        try:
            process.wait(attempt.moment)
            attempt.seconds = time.monotonic() - began
            return False
        except subprocess.TimeoutExpired:
            kill(folder, attempt, process, output)
    finish(folder, attempt, expected)
    return True


def begin(folder: Path, command: str, output: IO[str]) -> subprocess.Popen:
    """Start a command as a terminal does, in a process group of its own."""
    return subprocess.Popen(
        command.split(),
        cwd=folder,
        env=environment(folder, **OFTEN),
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def kill(folder: Path, attempt: Try, process: subprocess.Popen, output: IO[str]) -> None:
    """Kill the command and see that its stages end as well."""
    send, number = KILLS[attempt.kill]
    send(process.pid, number)
    killed = time.monotonic()
    process.wait(SECONDS_TO_DIE)
    attempt.reached = f"{stage_reached(output)}{step_reached(folder)}"
    while processes(folder) and time.monotonic() - killed < SECONDS_TO_DIE:
        time.sleep(0.02)
    attempt.died = round(time.monotonic() - killed, 2)
    assert not processes(folder), f"{attempt.kill} left orphans: {processes(folder)}"


def finish(folder: Path, attempt: Try, expected: dict[str, Any]) -> None:
    """What the user does: `dvc repro`, first `modescope doctor --mend` if an experiment was killed, or DVC refuses."""
    if attempt.command == EXPERIMENT:
        attempt.found = mend(folder)
    began, options = time.monotonic(), {"cwd": folder, "env": environment(folder, **OFTEN), "encoding": "utf-8"}
    ended = subprocess.run(REPRO.split(), capture_output=True, **options)
    if ended.returncode != 0:
        print(ended.stdout[-2000:], ended.stderr[-2000:], file=sys.stderr)
        attempt.found += mend(folder)
        ended = subprocess.run(REPRO.split(), capture_output=True, check=True, **options)
    attempt.seconds = round(time.monotonic() - began, 1)
    attempt.resumed_from = int((re.findall(r"goes on from step (\d+)", ended.stdout) or [0])[-1])
    attempt.same = results(folder) == expected and run("git symbolic-ref --short HEAD", folder)[0].strip() != ""
    attempt.left = mend(folder)


def mend(folder: Path) -> list[str]:
    """Let `modescope doctor` mend all; return its findings."""
    found = subprocess.run(
        ["modescope", "doctor"], cwd=folder, env=environment(folder), capture_output=True, encoding="utf-8"
    )
    if found.returncode == 0:
        return []
    run("modescope doctor --mend", folder)
    return found.stdout.splitlines()


def processes(folder: Path) -> list[str]:
    """Command lines of the clone's living stages."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        line, place = " ".join(process.info["cmdline"] or []), process.info["cwd"] or ""
        if (
            "modescope.stages." in line
            and Path(place).is_relative_to(folder)
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ):
            found.append(line)
    return found


def stage_reached(output: IO[str]) -> str:
    """The last stage that DVC had begun, by what it printed."""
    output.seek(0)
    begun = re.findall(r"Running stage '(.+?)'", output.read())
    return begun[-1].partition("@")[0] if begun else "before the first stage"


def step_reached(folder: Path) -> str:
    """The last step in the log of an unfinished training."""
    lines = [
        line
        for file in (folder / ".ckpt").glob("*/curves.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.endswith("}")
    ]
    return f", step {json.loads(lines[-1])['step']}" if lines else ""


def stored_runs(folder: Path) -> dict[str, list[str]]:
    """What MLflow holds: key -> the status of each of its runs."""
    code = """
import json
from modescope.mlflow.store import open_store
store = open_store()
runs = store.client.search_runs(list(store.experiments().values()))
print(json.dumps([[run.data.tags["key"], run.info.status] for run in runs]))"""
    pairs = json.loads(
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
    )
    return {key: [status for other, status in pairs if other == key] for key, _ in pairs}


def measure(folder: Path, tries: int, seed: int) -> dict[str, Any]:
    """All tries in one clone. The four kills take turns, and every third command is an experiment."""
    prepare(folder)
    forget(folder)
    _, whole = run(REPRO, folder, **OFTEN)
    expected = results(folder)
    print(f"undisturbed: {whole:.1f} s, weights {expected['weights_sha256'][:12]}", flush=True)
    moments, done = random.Random(seed), []
    while len(done) < tries:
        number = len(done)
        command = EXPERIMENT if number % 3 == 2 else REPRO
        attempt = Try(command, list(KILLS)[number % len(KILLS)], round(moments.uniform(0.02, 1.0) * whole, 2))
        forget(folder)
        if disturb(folder, attempt, expected):
            done.append(attempt)
            print(f"{len(done):2d} {attempt}", flush=True)
            whole = max(whole, attempt.seconds)  # the machine may be busier by now,
        else:
            whole = attempt.seconds  # or less busy
    return {
        "undisturbed_seconds": round(whole, 1),
        "expected": expected,
        "runs": stored_runs(folder),
        "tries": [asdict(each) for each in done],
    }


def summary(measured: dict[str, Any]) -> list[str]:
    """The table's rows."""
    tries, runs = measured["tries"], measured["runs"]
    commands = [" ".join(each["command"].split()[:-1]) for each in tries]
    statuses = sorted({status for each in runs.values() for status in each})
    needed = Counter(name for name, each in zip(commands, tries, strict=True) if each["found"])
    rows = {
        "tries": ", ".join(f"{count} {name}" for name, count in Counter(commands).items()),
        "kills": ", ".join(f"{count} {name}" for name, count in Counter(each["kill"] for each in tries).items()),
        "same weights and metrics": f"{sum(each['same'] for each in tries)} of {len(tries)}",
        "went on from a step > 0": sum(each["resumed_from"] > 0 for each in tries),
        "last process gone after": f"{max(each['died'] for each in tries):.2f} s at most",
        "`modescope doctor --mend` needed": ", ".join(f"{count} {name}" for name, count in needed.items()) or "never",
        "MLflow": f"{sum(map(len, runs.values()))} runs for {len(runs)} training runs, {', '.join(statuses)}",
    }  # fmt: skip
    return ["| what | figure |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows.items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=Path("reports/kills.json"))
    given = parser.parse_args()
    # A shell lets its background processes, and so their children, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(copy_of_the_repository(Path(folder).resolve() / "clone"), given.tries, given.seed)
    print("\n".join(summary(measured)))
    versions = {name: version(name) for name in ("dvc", "mlflow", "torch")}
    command = f"python -m benchmarks.kills --tries {given.tries} --seed {given.seed}"
    write_json(
        given.out, {"command": command, "date": datetime.now(UTC).date().isoformat(), "versions": versions, **measured}
    )
    sound = all(each["same"] for each in measured["tries"]) and all(
        each == ["FINISHED"] for each in measured["runs"].values()
    )
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()

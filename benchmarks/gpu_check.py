"""All that a machine with a CUDA GPU should show, in the minutes it is given: tests, speed, and the paper's rows, the
most telling first.

    python benchmarks/gpu_check.py --minutes 25

The rows are trained in a clone of their own, .gpu-check/, which the next call goes on with. Writes reports/gpu/:
check.json (device, tests, rows), bench.json and bench.png, the rows' metrics and their last sample grids. Needs no
network where MODESCOPE_MIRROR holds the data.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from clones import BIN, copy_of_the_repository
from modescope.errors import UserError
from modescope.evaluation.extractors import find_inception_weights
from modescope.files import read_json, write_json

TESTS = ["tests/training", "tests/evaluation"]
# what is worth most first: the report's two clocks, study 1's question, study 2's start and its best row, then the rest
ROWS = [
    *("evaluate-cgan@cgan-bce", "evaluate-cgan@cgan-wgan-gp", "evaluate-imbalance@gan-split4", "evaluate-imbalance@vae-split4"),
    *("evaluate-cgan@cgan-ours", "evaluate-cgan@cgan-hinge", "evaluate-cgan@cgan-lsgan", "evaluate-imbalance@gan-balanced"),
    *("evaluate-imbalance@vae-balanced", "evaluate-stage1@stage1", "evaluate-stage2@d-ff-0.5", "evaluate-stage2@d-ff"),
    *("evaluate-stage2@a-0.5-n20", "evaluate-cgan@dcgan-bce", "evaluate-cgan@dcgan-wgan-gp", "evaluate-hybrid"),
]  # fmt: skip
MEASURED, TRAINED = (
    ("fid_classifier", "class_consistency"),
    ("steps", "steps_per_second", "device", "precision", "deterministic"),
)
SECONDS_TO_CLOSE = 60
LEAST_SECONDS = 20  # a row is not begun with less


def environment(clone: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "src"),
        "DVC_NO_ANALYTICS": "1",
    }


def machine() -> dict[str, Any]:
    """Device, versions, commit and date."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "device": torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else platform.processor() or platform.machine(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": described or None,
        "date": datetime.now(UTC).date().isoformat(),
    }


def limited(command: list[str], seconds: float, **options) -> tuple[int | None, str, float]:
    """Run a command for `seconds` at most: its exit code (None if it was stopped), what it printed, and the seconds it
    took.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **options
    )
    try:
        printed, _ = process.communicate(timeout=max(1.0, seconds))
        return process.returncode, printed, time.monotonic() - began
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # stages keep their checkpoints
    try:
        printed, _ = process.communicate(timeout=SECONDS_TO_CLOSE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
    return None, printed, time.monotonic() - began


def ending(code: int | None) -> str:
    return "stopped" if code is None else "failed" if code else "done"


def last_lines(printed: str) -> list[str]:
    return printed.strip().splitlines()[-3:]


def run_tests(seconds: float) -> dict[str, Any]:
    """The tests that meet the device."""
    code, printed, took = limited([sys.executable, "-m", "pytest", "-q", "-rf", *TESTS], seconds)
    failed = re.findall(r"^FAILED (.+)", printed, re.MULTILINE)
    return {"ended": ending(code), "seconds": round(took, 1), "failed": failed, "last_lines": last_lines(printed)[-1:]}


def prepare(clone: Path, profile: str) -> list[str]:
    """The working tree's state in the clone, with the profile's values; `evaluation.extractors` without Inception where
    its weights are missing. Returns its stages.
    """
    copy_of_the_repository(clone)
    subprocess.run(
        ["modescope", "use", profile], cwd=clone, env=environment(clone), stdout=subprocess.DEVNULL, check=True
    )
    try:
        find_inception_weights()
    except UserError as error:
        print(error, flush=True)
        editor, file = YAML(), clone / "params.yaml"
        params = editor.load(file)
        params["evaluation"]["extractors"] = ["judge"]
        editor.dump(params, file)
    return subprocess.run(
        ["dvc", "stage", "list", "--name-only"],
        cwd=clone,
        env=environment(clone),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def train(clone: Path, target: str, seconds: float, out: Path) -> dict[str, Any]:
    """One row through the pipeline: how it ended, and what was measured."""
    code, printed, took = limited(["dvc", "repro", target], seconds, cwd=clone, env=environment(clone))
    row = {"row": target, "ended": ending(code), "seconds": round(took, 1)}
    if code != 0:
        return row | {"last_lines": last_lines(printed)}
    outs = yaml.safe_load((clone / "dvc.lock").read_text())["stages"][target]["outs"]
    metrics = next(clone / each["path"] for each in outs if each["path"].startswith("metrics/"))
    run = clone / "models" / metrics.parent.name / metrics.stem
    shutil.copy(metrics, out / metrics.name)
    grids = sorted((run / "samples").glob("step-*.png"))
    if grids:
        shutil.copy(grids[-1], out / f"{metrics.stem}.png")
    measured, trained = read_json(metrics), read_json(run / "run.json")
    kept = {name: measured[name] for name in MEASURED if name in measured} | {
        name: trained[name] for name in TRAINED if name in trained
    }
    return row | kept | {"training_seconds": trained["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--out", type=Path, default=Path("reports/gpu"))
    given = parser.parse_args()
    ends = time.monotonic() + 60 * given.minutes
    given.out.mkdir(parents=True, exist_ok=True)
    clone = Path(".gpu-check").resolve()
    found: dict[str, Any] = {**machine(), "minutes": given.minutes, "profile": given.profile, "rows": []}

    def left(share: float = 1.0) -> float:
        return share * (ends - time.monotonic())

    def keep(name: str, fact: Any) -> None:
        found[name] = [*found[name], fact] if isinstance(found.get(name), list) else fact
        write_json(given.out / "check.json", found)
        print(json.dumps(fact), flush=True)

    keep("tests", run_tests(left(0.3)))
    code, printed, took = limited(
        [sys.executable, "-m", "modescope.cli", "bench", "--seconds", "1", "--out", str(given.out)], left(0.3)
    )
    keep("bench", {"ended": ending(code), "seconds": round(took, 1), "last_lines": last_lines(printed)})
    stages = prepare(clone, given.profile)
    for target in (row for row in ROWS if row in stages):
        if left() > LEAST_SECONDS:
            keep("rows", train(clone, target, left(), given.out))


if __name__ == "__main__":
    main()

"""Runs to file, and what the store then holds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.mlflow.store import open_store
from modescope.runs.log import RunLog

SOURCE = Path(__file__).parents[1] / "src"
INFO = {
    "key": "00000000000000aa",
    "study": "imbalance",
    "run": "gan-split1",
    "stage": "imbalance@gan-split1",
    "model": "gan",
    "params": {"seed": 0, "imbalance": {"gan": {"lr": 2e-4, "betas": [0.5, 0.999], "ema_decay": None, "loss": "bce"}}},
    "data": {"name": "digits-rgb", "digest": "ab" * 32, "classes": ["zero", "one", "two"], "split": "split1"},
    "code": "cd" * 32,
    "device": "cpu",
    "precision": "fp32",
    "versions": {"python": "3.11", "torch": "2.13"},
}
METRICS = {"fid_classifier": 12.345678901234567, "class_share": [0.1, 0.2, 0.7], "num_samples": 100}


def run_info(**changes):
    return {**INFO, **changes}


def work_folder(info=INFO) -> Path:
    return Path(".ckpt") / info["key"]


def train_run(out: Path, steps=range(1, 5), **changes) -> Path:
    """A finished run with a curve and two sample sheets."""
    info = run_info(**changes)
    with RunLog(info, work_folder(info), push) as log:
        for step in steps:
            log.log({"train/d_loss": 1 / step, "train/g_loss": step / 3}, step)
        for step in (2, 4):
            log.image("samples", np.full((8, 8, 3), step, np.uint8), step)
        (log.folder / "model.safetensors").write_bytes(b"weights")
        (log.folder / "checkpoint.pt").write_bytes(b"state")
        log.finish(out, steps=len(steps))
    return out


def write_metrics(metrics=METRICS, info=INFO) -> None:
    write_json(Path("metrics") / info["study"] / f"{info['run']}.json", metrics)


def stored_run(key=INFO["key"], study="imbalance"):
    """The one run of that key in the store in use."""
    store = open_store()
    found = store.client.search_runs([store.experiments()[study]], f"tags.key = '{key}'")
    assert len(found) == 1
    return found[0]


def steps_of(name, key=INFO["key"]):
    return [point.step for point in open_store().client.get_metric_history(stored_run(key).info.run_id, name)]


def artifacts_of(folder=None, key=INFO["key"]):
    return sorted(
        Path(file.path).name for file in open_store().client.list_artifacts(stored_run(key).info.run_id, folder)
    )


def start_python(code: str, *arguments, **environment) -> subprocess.Popen:
    """A process of its own with our package and the tests' helpers, in the working folder."""
    path = os.pathsep.join([str(SOURCE), str(Path(__file__).parent)])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

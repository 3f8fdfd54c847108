"""What side by side costs and saves: `modescope repro`, `sweep`, and `sweep --optuna` against others' figures.

python -m benchmarks.side_by_side sleep            # 40 stages of 3 s in 3 levels, 8 at a time
python -m benchmarks.side_by_side optuna           # 30 trials with and without pruning, a worker killed
python -m benchmarks.side_by_side queue DEMO       # 6 points of a folder in which the demo has run; `dvc queue start`
"""

import contextlib
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import psutil
import yaml

from benchmarks.clones import DEMO, commit, environment, run
from benchmarks.kills import CLOCKS, stored_runs
from benchmarks.simulate import simulate
from modescope.parallel.graph import Plan
from modescope.parallel.machine import Machine, Needs

OURS = {"PYTHONPATH": str(Path("src").resolve())}
LEVELS, SECONDS, WORKERS = (16, 16, 8), 3.0, 8
TRIALS, STEPS, SECONDS_A_STEP = 30, 60, 0.1
TARGET, WEIGHTS = "evaluate-stage2@b-ff", (0.1, 0.2, 0.3, 0.4, 0.6, 0.7)  # two stages and one that they share
ROW = DEMO / "metrics/two-stage/stage2-b-ff.json"


def repository(folder: Path, stages: dict[str, Any], **files: str) -> Path:
    """A repository of git and DVC with these stages and a parameter `lr`."""
    (folder / ".dvc").mkdir(parents=True)
    texts = {".dvc/config": "[core]\n analytics = false\n", ".dvc/.gitignore": "/tmp\n/cache\n/config.local\n"}
    texts |= {"dvc.yaml": yaml.safe_dump({"stages": stages}), "params.yaml": "lr: 0.1\n", "seed.txt": "1\n", **files}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    run("git init -q", folder)
    commit(folder, "start")
    return folder


def sleepers() -> dict[str, Any]:
    """Levels of stages that sleep, each of which needs two of the level before."""
    stages = {}
    for level, count in enumerate(LEVELS):
        for number in range(count):
            before = [f"out{level - 1}-{(number + shift) % LEVELS[level - 1]}" for shift in (0, 1)] if level else []
            name = f"out{level}-{number}"
            command = f"sleep {SECONDS} && echo {name} > {name}"
            stages[f"stage{level}-{number}"] = {"cmd": command, "deps": [*before, "seed.txt"], "outs": [name]}
            stages[f"stage{level}-{number}"]["meta"] = {"cpus": 0}
    return stages


def sleep(folder: Path) -> None:
    """Print the time that sleeping stages take, beside the ideal one."""
    repository(folder, sleepers())
    with contextlib.chdir(folder):
        plan = Plan.load()
    for task in plan.tasks.values():
        task.seconds, task.needs = SECONDS, Needs(1)
    ideal, load = simulate(plan, Machine(WORKERS, math.inf)), psutil.getloadavg()[0]
    printed, _ = run(f"modescope repro -j {WORKERS}", folder, **OURS)
    took = float(re.search(r"stages in ([\d.]+) s", printed)[1])
    total = float(re.search(r"would have taken ([\d.]+) s", printed)[1])
    count = sum(LEVELS)
    print(f"{count} stages, {WORKERS} at a time, load before {load:.1f}: {took:.1f} s, ideal {ideal:.1f} s")
    print(f"{ideal / took:.2f} x the ideal; overhead of a stage {total / count - SECONDS:.2f} s")


TRAIN = f"""
import csv, gzip, json, os, time, yaml
from importlib.util import find_spec
from pathlib import Path
import numpy as np

params, root = yaml.safe_load(open("params.yaml")), Path(os.environ["DVC_ROOT"])
digits = Path(find_spec("sklearn").submodule_search_locations[0], "datasets/data/digits.csv.gz")
table = np.loadtxt(gzip.open(digits), delimiter=",")
images, labels = np.c_[table[:, :-1] / 16, np.ones(len(table))], np.eye(10)[table[:, -1].astype(int)]
info = {{"run": "row", "stage": "train", "origin": {{"dvc.exp": os.environ["DVC_EXP_NAME"]}}}}
work, made = root / ".ckpt" / os.environ["DVC_EXP_NAME"], Path("models/study/row")
for folder in (work, made, Path("metrics")):
    folder.mkdir(parents=True, exist_ok=True)
(work / "run.json").write_text(json.dumps({{**info, "status": "running"}}))

def log_softmax(weights, chosen):
    logits = images[chosen] @ weights
    logits -= logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))

weights, train, test = np.zeros((65, 10)), slice(0, 1000), slice(1000, None)
with open(work / "curves.jsonl", "w") as curve, open(root.parent / f"steps-{{root.name}}", "a") as steps:
    for step in range(1, {STEPS} + 1):
        time.sleep({SECONDS_A_STEP})
        slope = images[train].T @ (labels[train] - np.exp(log_softmax(weights, train))) / 1000
        weights += params["lr"] * (slope - params["decay"] * weights)
        loss = -(labels[test] * log_softmax(weights, test)).sum(1).mean()
        for file, line in ((curve, json.dumps({{"step": step, "eval/loss": loss}})), (steps, str(step))):
            file.write(line + "\\n")
            file.flush()
rows = [json.loads(line) for line in open(work / "curves.jsonl")]
(work / "run.json").unlink()
(made / "run.json").write_text(json.dumps(info))
csv.writer(open(made / "curves.csv", "w")).writerows([["step", "eval/loss"], *(each.values() for each in rows)])
Path("metrics/row.json").write_text(json.dumps({{"loss": loss}}))
"""
ROWS = {
    "train": {
        "cmd": "python train.py",
        "deps": ["seed.txt"],
        "params": ["lr", "decay"],
        "outs": ["models/study/row", {"metrics/row.json": {"cache": False}}],
        "meta": {"cpus": 0},
    }
}


def optuna(folder: Path) -> None:
    """Print what pruning saves: softmax regression, its loss on what it has not seen; a worker is killed under way."""
    steps = {}
    for name, prune in (("whole", ""), ("pruned", "--prune eval/loss")):
        place = repository(folder / name, ROWS, **{"train.py": TRAIN, "params.yaml": "lr: 0.1\ndecay: 0.1\n"})
        points = "-S lr=1e-4..3:log -S decay=1e-5..1:log"
        command = f"modescope sweep --optuna {TRIALS} {points} --minimize metrics/row.json:loss {prune} -j 4"
        load, began = psutil.getloadavg()[0], time.monotonic()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = subprocess.Popen(command.split(), cwd=place, env=environment(place, **OURS), stdout=output)
            if prune:
                kill_a_worker(process, place)
            code = process.wait()
            output.seek(0)
            last = output.read().splitlines()[-1]
        steps[name] = len((folder / f"steps-{name}").read_text(encoding="utf-8").splitlines())
        print(f"{name}, load before {load:.1f}: {time.monotonic() - began:.0f} s, exit code {code}; {last}")
        print(f"  {len(experiments(place))} experiments, {steps[name]} steps")
    print(f"pruning saves {1 - steps['pruned'] / steps['whole']:.0%} of the steps")


def kill_a_worker(driver: subprocess.Popen, folder: Path) -> None:
    """kill -9, with its stage, once a third of the trials is recorded."""
    workers: list[psutil.Process] = []
    while driver.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):  # one ended between two looks
            workers = [each for each in psutil.Process(driver.pid).children() if each.children()]
        if len(experiments(folder)) >= TRIALS / 3 and workers:
            for each in [*workers[0].children(recursive=True), workers[0]]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            print(f"killed worker {workers[0].pid}")
            return
        time.sleep(0.2)


def experiments(folder: Path) -> dict[str, str]:
    """Name -> commit of every experiment."""
    lines = run("git for-each-ref 'refs/exps/*/*/*' --format='%(refname) %(objectname)'", folder)[0].splitlines()
    return {line.split()[0].split("/")[-1]: line.split()[1] for line in lines}


def queue(folder: Path, demo: Path) -> None:
    """Print the time of `modescope sweep` and of DVC's queue for the same points of the demo, and compare records."""
    values, found = ",".join(map(str, WEIGHTS)), {}
    for name in ("sweep", "queue"):
        place = copytree(demo, folder / name, symlinks=True, ignore=ignore_patterns("mlflow.db*", "mlartifacts", "tmp"))
        commit(place, "the demo")
        load, began = psutil.getloadavg()[0], time.monotonic()
        if name == "sweep":
            run(f"modescope sweep -S ce_loss_weight={values} -j 2 {TARGET}", place, **OURS)
        else:
            run(f"dvc exp run --queue -S ce_loss_weight={values} {TARGET} && dvc queue start -j 2", place)
            while len(experiments(place)) < len(WEIGHTS):
                time.sleep(0.5)
        print(f"{name}, load before {load:.1f}: {time.monotonic() - began:.1f} s", flush=True)
        found[name] = sorted(recorded(place, commit) for commit in experiments(place).values())
        print(f"  {len(found[name])} experiments; MLflow: {[*stored_runs(place).values()]}")
    print(f"the same files, parameters and metrics: {found['sweep'] == found['queue']}")


def recorded(folder: Path, experiment: str) -> str:
    """An experiment's files, parameters, and the row's metrics without those that are times."""
    show = f"git show {experiment}:"
    metrics = json.loads(run(f"{show}{ROW}", folder)[0])
    values = {key: value for key, value in metrics.items() if key not in CLOCKS}
    names = run(f"git ls-tree -r --name-only {experiment}", folder)[0]
    return json.dumps([names, run(f"{show}params.yaml", folder)[0], values])


def main() -> None:
    what, *more = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        {"sleep": sleep, "optuna": optuna, "queue": queue}[what](Path(folder).resolve() / what, *map(Path, more))


if __name__ == "__main__":
    main()

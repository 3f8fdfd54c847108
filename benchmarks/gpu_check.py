"""All that a machine with a CUDA GPU should show, in the minutes it is given: CUDA's tests, speed, and training runs of
the `paper` profile, the most telling first.

    make gpu-check MINUTES=9                  # on this machine

    python benchmarks/gpu_check.py pack --python 3.12       # here, for a bare machine: writes .gpu-check/
    python3 .gpu-check/benchmarks/gpu_check.py run --minutes 9 --out DIR      # there: torch, but no DVC and no MLflow

`pack` copies the source, resolves DVC's stages into plan.json and, with --data, takes along the data. With --python it
fetches the few packages that a machine for torch lacks, for that Python; --wheels takes others along. `run` works in
that folder: stages are modules that write plain files, so they run in the graph's order, several at once, without
`dvc repro`. Each part fails alone; what is done is written down at once. DIR gets check.json (device, tests, rows),
bench.json, bench.png, results.tar.gz (run.json, curves, metrics, last sample grids, logs) and weights of a few runs.

A whole profile comes home from such a machine, too, weights included, as fast as the way back allows:

    python3 .gpu-check/benchmarks/gpu_check.py collect --out DIR      # there, as often as you like, while `run` runs
    python benchmarks/gpu_check.py unpack DIR...                      # here: into models/, for `dvc commit`
"""

import argparse
import fnmatch
import io
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(".gpu-check")
METRICS = ("metrics/**/*.json", "profiles/*/metrics/**/*.json")
TESTS = ["tests/training/test_cuda_graph.py", "tests/training/test_device.py"]
ROWS = [  # what is worth most first: the report's losses with labels, ours, colour, then the same without labels
    *("evaluate-cgan@cgan-bce", "evaluate-cgan@cgan-hinge", "evaluate-cgan@cgan-wgan-gp"),
    *("evaluate-imbalance-ours@gan-ours-balanced", "evaluate-cgan@cgan-lsgan", "evaluate-ours@cgan-ours"),
    *(f"evaluate-cgan@dcgan-{loss}" for loss in ("bce", "hinge", "lsgan")),
    *("evaluate-stage1@stage1-ours", "evaluate-ours@cgan-bce-text", "evaluate-cgan@dcgan-wgan-gp"),
    *("evaluate-imbalance@gan-balanced", "evaluate-imbalance@vae-balanced"),
    *("evaluate-imbalance@gan-split4", "evaluate-imbalance@vae-split4", "evaluate-stage1@stage1"),
]  # fmt: skip
# What an environment with torch, torchvision, torchmetrics, SciPy, pandas and pytest lacks: of any Python, and of one.
PURE = ("airbench", "annotated-types", "pydantic", "pythae", "ruamel.yaml", "torch-fidelity", "typing-inspection")
COMPILED = ("pydantic-core",)
WEIGHTS_KEPT = ("cgan-ours", "gan-ours-balanced", "stage1-ours", "cgan-hinge")  # each is a file of its own in DIR
MEASURED = ("fid_classifier", "class_consistency", "is_classifier_mean", "precision", "recall", "coverage")
TRAINED = ("steps", "seconds", "steps_per_second", "device", "deterministic")
SECONDS_TO_CLOSE = 20
LARGEST_FILE = 15 * 2**20  # bytes of a file in DIR
ARRIVING = "*.part*"  # a collection's pieces in DIR
PARTIAL = "bench.unfinished.json"  # of benchmarks/bench.py while it measures
COLLECTED = "collected.txt"  # in the folder of the check: files that have come home


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml, resolved: its command line, and what it reads and writes."""

    cmd: str
    deps: Sequence[str]
    outs: Sequence[str]


# --- pack: on a machine with DVC -------------------------------------------------------------------------------------


def pack(profile: str, data: Path | None, python: str | None, wheels: Path | None, set: Sequence[str]) -> None:
    """Write FOLDER: source, the profile's params.yaml without Inception, plan.json, and what the options take along."""
    from ruamel.yaml import YAML

    listed = subprocess.run(
        ["git", "ls-files", "src", "tests", "benchmarks", "profiles"], capture_output=True, encoding="utf-8"
    )
    for name in [*listed.stdout.splitlines(), "dvc.yaml", "pyproject.toml", "params.yaml"]:
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, FOLDER / name)
    from modescope.config import profile_values

    editor = YAML()
    editor.dump(profile_values(profile), FOLDER / "params.yaml")
    change(FOLDER / "params.yaml", ["evaluation.extractors=[judge]", *set])
    subprocess.run(["git", "init", "-q"], cwd=FOLDER, check=True)
    subprocess.run(["dvc", "init", "-q", "-f"], cwd=FOLDER, check=True)
    write(FOLDER / "plan.json", resolved_stages(FOLDER))
    write(FOLDER / "packed.json", {"commit": commit(), "profile": profile, "changes": list(set)})
    for source, name in ((data, "data-mirror"), (wheels, "wheels")):
        if source is not None:
            shutil.copytree(source, FOLDER / name, dirs_exist_ok=True)
    if python is not None:
        fetch_wheels(python, FOLDER / "wheels")


def fetch_wheels(python: str, folder: Path) -> None:
    """PURE and COMPILED for a Python (3.12, say) on Linux, x86-64, in the versions of requirements.lock."""
    pip, common = [sys.executable, "-m", "pip"], ["--quiet", "--no-deps", "--constraint", "requirements.lock"]
    there = ["--only-binary=:all:", "--python-version", python, "--platform", "manylinux2014_x86_64"]
    for command in (
        [*pip, "wheel", *common, "--wheel-dir", str(folder), *PURE],
        [*pip, "download", *common, *there, "--dest", str(folder), *COMPILED],
    ):
        if subprocess.run(command).returncode:
            raise SystemExit(f"pip lacks packages for Python {python}, see above: fetch them yourself for --wheels")


def change(file: Path, assignments: Sequence[str]) -> None:
    """Set values of a YAML file by dotted name: `imbalance.gan.lr=1e-4`."""
    from ruamel.yaml import YAML

    editor = YAML()
    values = editor.load(file)
    for name, _, text in (each.partition("=") for each in assignments):
        *parents, last = name.split(".")
        section = values
        for parent in parents:
            section = section[parent]
        if last not in section:
            raise SystemExit(f"params.yaml has no {name}")
        section[last] = editor.load(text)
    editor.dump(values, file)


def resolved_stages(folder: Path) -> dict[str, dict[str, Any]]:
    """Every stage of the dvc.yaml in `folder` by name, as `Stage` has it."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        return {
            stage.name: {
                "cmd": stage.cmd,
                "deps": [dep.def_path for dep in stage.deps if dep.def_path not in ("params.yaml", "src/modescope")],
                "outs": [out.def_path for out in stage.outs],
            }
            for stage in repo.index.stages
        }


def commit() -> str | None:
    """The commit of the working tree, with `-dirty` where it has changes."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty"], capture_output=True, encoding="utf-8"
    )
    return described.stdout.strip() or None


# --- run: on any machine ---------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Device, versions and date."""
    import torch

    has_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if has_gpu else platform.processor() or platform.machine(),
        "cuda": torch.version.cuda if has_gpu else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def environment(folder: Path) -> dict[str, str]:
    """`python` is this interpreter with the packed wheels; threads wait asleep, since several stages run at once."""
    bin, site = folder / "bin", folder / "site"
    if not bin.exists():
        bin.mkdir()
        lines = ["#!/bin/sh", f'export PYTHONPATH="$PYTHONPATH:{site}"', f'exec "{sys.executable}" "$@"']
        (bin / "python").write_text("\n".join([*lines, ""]), encoding="utf-8")
        (bin / "python").chmod(0o755)
        if (folder / "wheels").is_dir():
            options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(site)]
            wheels = map(str, (folder / "wheels").glob("*.whl"))
            subprocess.run([sys.executable, "-m", "pip", "install", *options, *wheels], check=True)
    mirror = {"MODESCOPE_MIRROR": str(folder / "data-mirror")} if (folder / "data-mirror").is_dir() else {}
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **mirror, "OMP_WAIT_POLICY": "passive", "PATH": path, "PYTHONPATH": str(folder / "src")}


def stop(process: subprocess.Popen) -> None:
    """End a process and its children; a stage keeps its checkpoint."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(SECONDS_TO_CLOSE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def limited(command: list[str], seconds: float, log: Path, **options) -> tuple[str, float]:
    """Run a command for `seconds` at most, what it prints in the file `log`: how it ended and the seconds it took."""
    began = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            stop(process)
            return "stopped", time.monotonic() - began
    return "failed" if process.returncode else "done", time.monotonic() - began


def last_lines(log: Path, count: int = 3) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-count:]


def run_tests(folder: Path, logs: Path, seconds: float) -> dict[str, Any]:
    """The tests that meet the device."""
    log, command = logs / "tests.log", ["python", "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", *TESTS]
    ended, took = limited(command, seconds, log, cwd=folder, env=environment(folder))
    failed = re.findall(r"^FAILED (.+)", log.read_text(encoding="utf-8"), re.MULTILINE)
    return {"ended": ended, "seconds": round(took, 1), "failed": failed, "last_lines": last_lines(log, 1)}


def run_bench(folder: Path, logs: Path, seconds: float, out: Path) -> dict[str, Any]:
    """The benchmark; what it has measured is kept where it is stopped."""
    log, command = logs / "bench.log", ["python", "-m", "modescope.cli", "bench", "--seconds", "0.3"]
    ended, took = limited([*command, "--out", str(out)], seconds, log, cwd=folder, env=environment(folder))
    if ended != "done" and (out / PARTIAL).exists():
        (out / PARTIAL).replace(out / "bench.json")
    return {"ended": ended, "seconds": round(took, 1), "last_lines": last_lines(log, 20)}


def needed(plan: dict[str, Stage], targets: Sequence[str]) -> list[str]:
    """The targets and all that they depend on: what a target needs stands before it, the first target's needs first."""
    maker = {out: name for name, stage in plan.items() for out in stage.outs}
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for dep in plan[name].deps:
            for out in (dep, *(str(parent) for parent in Path(dep).parents)):
                if out in maker and maker[out] != name:
                    visit(maker[out])
        ordered.setdefault(name)

    for target in targets:
        visit(target)
    return list(ordered)


def matching(plan: dict[str, Stage], patterns: Sequence[str]) -> list[str]:
    """The stages that a pattern (`cgan@*`) fits, in the patterns' order."""
    return list(dict.fromkeys(name for pattern in patterns for name in fnmatch.filter(plan, pattern)))


def run_stages(
    folder: Path, plan: dict[str, Stage], targets: Sequence[str], workers: int, ends: float
) -> Iterator[tuple[str, str, float]]:
    """Run what `targets` need, `workers` stages at once, until time.monotonic() is `ends`.

    Yields:
        stage, how it ended (done, failed, stopped), seconds. What depends on a stage that failed is left out.
    """
    waiting, running, done = needed(plan, targets), {}, set()
    (folder / "logs").mkdir(exist_ok=True)
    ancestors = {name: set(needed(plan, [name])) - {name} for name in waiting}
    while (waiting or running) and time.monotonic() < ends:
        for name in [name for name in waiting if ancestors[name] <= done][: workers - len(running)]:
            waiting.remove(name)
            with open(folder / "logs" / f"{name}.log", "w", encoding="utf-8") as file:
                options = {"stdout": file, "stderr": subprocess.STDOUT, "start_new_session": True}
                process = subprocess.Popen(["sh", "-c", plan[name].cmd], cwd=folder, env=environment(folder), **options)
            running[name] = process, time.monotonic()
        for name, (process, began) in list(running.items()):
            if process.poll() is None:
                continue
            del running[name]
            if process.returncode == 0:
                done.add(name)
            else:
                waiting = [other for other in waiting if name not in ancestors[other]]
            yield name, "failed" if process.returncode else "done", time.monotonic() - began
        if not running and not any(ancestors[name] <= done for name in waiting):
            return
        time.sleep(0.05)
    for name, (process, began) in running.items():
        stop(process)
        yield name, "stopped", time.monotonic() - began


def row(folder: Path, stage: Stage, name: str) -> dict[str, Any]:
    """What an evaluation measured, and what its training run took."""
    file = next(folder / out for out in stage.outs if "metrics/" in out)
    info = read(folder / "models" / file.parent.name / file.stem / "run.json")
    measured = {name: value for name, value in read(file).items() if name in MEASURED}
    trained = {key: info[key] for key in TRAINED} | {"arithmetic": info["precision"]}
    return {"row": file.stem, "study": file.parent.name} | measured | trained


def collect(folder: Path, out: Path) -> None:
    """results.tar.gz: plain files of every run, without weights; the weights of WEIGHTS_KEPT beside it."""
    with tarfile.open(out / "results.tar.gz", "w:gz") as archive:
        for pattern in (*METRICS, "models/*/*/run.json", "models/*/*/curves.csv", "logs/*.log", "*.json"):
            for file in sorted(folder.glob(pattern)):
                archive.add(file, file.relative_to(folder))
        for run in sorted(folder.glob("models/*/*")):
            for kind in ("samples", "fixed_z"):
                for file in sorted((run / kind).glob("step-*.png"))[-1:]:
                    archive.add(file, file.relative_to(folder))
    for weights in (next(folder.glob(f"models/*/{name}/model.safetensors"), None) for name in WEIGHTS_KEPT):
        if weights is not None and weights.stat().st_size <= LARGEST_FILE:
            shutil.copy(weights, out / f"{weights.parent.name}.safetensors")


def collect_runs(folder: Path, out: Path, mebibytes: float) -> None:
    """Write what finished runs and measurements left, and was not collected before, into `out`: weights, records, all.

    It is one tar file in pieces, of `mebibytes` at most; states to go on from (trained.pt) come last.
    """
    seen = folder / COLLECTED
    done = set(seen.read_text(encoding="utf-8").splitlines()) if seen.exists() else set()
    runs = [run.parent for run in sorted(folder.glob("models/*/[!.]*/run.json"), key=lambda run: run.stat().st_mtime)]
    files = [file for run in runs for file in sorted(run.rglob("*")) if file.is_file()]
    files = [
        folder / "packed.json",
        *(file for pattern in METRICS for file in folder.glob(pattern)),
        *sorted(files, key=lambda file: file.suffix == ".pt"),
    ]
    taken, left = [], mebibytes * 2**20
    for file in files:
        name, size = str(file.relative_to(folder)), file.stat().st_size + 1024  # of a tar's header and padding
        if name not in done and size <= left:
            taken.append(name)
            left -= size
    out.mkdir(parents=True, exist_ok=True)
    whole = folder / "collection.tar"
    with tarfile.open(whole, "w") as archive:
        for name in taken:
            archive.add(folder / name, name)
    with open(whole, "rb") as file:
        for number, piece in enumerate(iter(lambda: file.read(LARGEST_FILE), b"")):
            (out / f"runs-{len(done):05}.part{number}").write_bytes(piece)
    with open(seen, "a", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in taken)
    whole.unlink()
    print(f"{len(taken)} files, {mebibytes - left / 2**20:.0f} MiB; {len(files) - len(done) - len(taken)} wait")


def unpack(folders: Sequence[Path]) -> None:
    """Put together what `collect` left in `folders`, and lay it where DVC expects it.

    The other machine knows no commit: a record gets the one that was packed, if the working tree had no changes then.
    """
    names = []
    for folder in folders:
        whole = b"".join(piece.read_bytes() for piece in sorted(folder.glob(ARRIVING)))
        with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
            archive.extractall(filter="data")
            names += archive.getnames()
    packed = read(Path("packed.json"))["commit"]
    Path("packed.json").unlink()
    for record in (Path(name) for name in names if Path(name).name == "run.json" and "-dirty" not in packed):
        info = read(record)
        write(record, info | {"origin": {"git.commit": packed, **info["origin"]}})


def run(folder: Path, minutes: float, out: Path, workers: int, parts: Sequence[str], rows: Sequence[str]) -> None:
    """Do `parts` (tests, bench, rows) within `minutes`, and write `out`."""
    ends, folder, out = time.monotonic() + 60 * minutes, folder.resolve(), out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    found: dict[str, Any] = {**machine(), **read(folder / "packed.json"), "minutes": minutes, "stages": [], "rows": []}

    def keep(name: str, fact: Any) -> None:
        found[name] = [*found[name], fact] if isinstance(found.get(name), list) else fact
        write(out / "check.json", found)
        print(json.dumps(fact), flush=True)

    if "tests" in parts:
        keep("tests", run_tests(folder, folder / "logs", min(60, 0.4 * (ends - time.monotonic()))))
    if "bench" in parts:
        keep("bench", run_bench(folder, folder / "logs", min(60, 0.5 * (ends - time.monotonic())), out))
    plan = {name: Stage(**stage) for name, stage in read(folder / "plan.json").items()}
    targets = matching(plan, rows) if "rows" in parts else []
    for name, ended, seconds in run_stages(folder, plan, targets, workers, ends - SECONDS_TO_CLOSE):
        lines = {} if ended == "done" else {"last_lines": last_lines(folder / "logs" / f"{name}.log")}
        keep("stages", {"stage": name, "ended": ended, "seconds": round(seconds, 1), **lines})
        if ended == "done" and name in targets and name.startswith("evaluate"):
            keep("rows", row(folder, plan[name], name))
    collect(folder, out)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write .gpu-check/ for another machine")
    packing.add_argument("--profile", default="paper")
    packing.add_argument("--set", nargs="+", default=[], help="changes to the profile, say imbalance.gan.lr=1e-4")
    packing.add_argument("--data", type=Path, help="folder with mnist/ and cifar10/, as MODESCOPE_MIRROR names it")
    packing.add_argument("--python", help="the other machine's, say 3.12: fetch the packages that it lacks")
    packing.add_argument("--wheels", type=Path, help="folder with the packages that the other machine lacks")
    running = commands.add_parser("run", help="tests, benchmark, rows")
    running.add_argument("--minutes", type=float, default=9)
    running.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1])
    running.add_argument("--out", type=Path, default=Path("reports/gpu"))
    running.add_argument("--workers", type=int, default=3, help="stages at once")
    running.add_argument("--parts", nargs="+", choices=["tests", "bench", "rows"], default=["tests", "bench", "rows"])
    running.add_argument("--rows", nargs="+", default=ROWS, help="stages or patterns, the most telling first")
    collecting = commands.add_parser("collect", help="what finished meanwhile, in pieces")
    collecting.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1])
    collecting.add_argument("--out", type=Path, required=True)
    collecting.add_argument("--mebibytes", type=float, default=60)
    unpacking = commands.add_parser("unpack", help="lay collections into this repository")
    unpacking.add_argument("folders", nargs="+", type=Path)
    given = vars(parser.parse_args())
    {"pack": pack, "run": run, "collect": collect_runs, "unpack": unpack}[given.pop("command")](**given)


if __name__ == "__main__":
    main()

"""benchmarks/gpu_check.py: its clock, its order of stages, and what it keeps."""

import ast
import re
import sys
import tarfile
import time
from pathlib import Path

import pytest
import yaml

from modescope.runs.code import FOLDER, PACKAGE, local_imports
from modescope.stages.code import stage_modules

# What an environment for torch holds, by the names under which it is imported.
THERE = {"torch", "torchvision", "torchmetrics", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "PIL"}
THERE |= {"safetensors", "pyarrow", "yaml", "tqdm", "typer", "jinja2", "markupsafe", "psutil"}
UNUSED_THERE = {"dvc", "mlflow", "sqlalchemy", "alembic"}  # plain files come first


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    from benchmarks import gpu_check

    return gpu_check


def test_a_command_that_ends_in_time(gpu_check, tmp_path):
    command = [sys.executable, "-c", "print('said'); raise SystemExit(3)"]
    ended, took = gpu_check.limited(command, 60, tmp_path / "log")
    assert (ended, (tmp_path / "log").read_text(encoding="utf-8")) == ("failed", "said\n") and took < 60


def test_a_command_that_does_not_is_stopped_and_keeps_what_it_said(gpu_check, tmp_path):
    stays = (
        "import time, signal\nsignal.signal(signal.SIGTERM, lambda *_: exit(print('kept')))\n"
        "print('began', flush=True)\ntime.sleep(60)"
    )
    ended, took = gpu_check.limited([sys.executable, "-c", stays], 2, tmp_path / "log")
    assert ended == "stopped" and (tmp_path / "log").read_text(encoding="utf-8") == "began\nkept\n" and took < 30


PLAN = {
    "data": ("mkdir data; echo 1 > data/a", [], ["data"]),
    "broken": ("echo no such thing; exit 3", ["data/a"], ["broken"]),
    "after-broken": ("touch after", ["broken"], ["after"]),
    "train": ("cat data/a > run", ["data/a"], ["run"]),
    "measure": ("cat run > metrics", ["run"], ["metrics"]),
    "unasked": ("touch unasked", ["data/a"], ["unasked"]),
    "long": ("sleep 60", ["data"], ["long"]),
}


@pytest.fixture
def plan(gpu_check):
    return {name: gpu_check.Stage(*stage) for name, stage in PLAN.items()}


def test_what_a_target_needs_stands_before_it(gpu_check, plan):
    assert gpu_check.needed(plan, ["measure", "after-broken"]) == ["data", "train", "measure", "broken", "after-broken"]


def test_a_failing_stage_stops_what_depends_on_it_and_nothing_else(gpu_check, plan, tmp_path):
    ends = time.monotonic() + 60
    ran = list(gpu_check.run_stages(tmp_path, plan, ["after-broken", "measure"], workers=2, ends=ends))
    assert {name: ended for name, ended, _ in ran} == {
        "data": "done", "broken": "failed", "train": "done", "measure": "done"
    }  # fmt: skip
    assert (tmp_path / "metrics").read_text(encoding="utf-8") == "1\n" and not (tmp_path / "unasked").exists()
    assert gpu_check.last_lines(tmp_path / "logs" / "broken.log") == ["no such thing"]


def test_time_runs_out(gpu_check, plan, tmp_path):
    began = time.monotonic()
    ran = list(gpu_check.run_stages(tmp_path, plan, ["long"], workers=2, ends=began + 2))
    assert [(name, ended) for name, ended, _ in ran] == [("data", "done"), ("long", "stopped")]
    assert time.monotonic() - began < 10


def test_plain_files_come_back_without_weights_but_those_asked_for(gpu_check, tmp_path):
    run = tmp_path / "work" / "models" / "cgan" / "cgan-ours"
    for name in ("samples/step-000001.png", "samples/step-000002.png", "run.json", "model.safetensors"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("{}", encoding="utf-8")
    (tmp_path / "out").mkdir()
    gpu_check.collect(tmp_path / "work", tmp_path / "out")
    with tarfile.open(tmp_path / "out" / "results.tar.gz") as archive:
        names = archive.getnames()
    assert names == ["models/cgan/cgan-ours/run.json", "models/cgan/cgan-ours/samples/step-000002.png"]
    assert (tmp_path / "out" / "cgan-ours.safetensors").exists()


def test_the_rows_are_stages_of_the_pipeline(gpu_check):
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {row.partition("@")[0] for row in gpu_check.ROWS} <= {*stages}


def test_a_bare_machine_is_given_what_the_stages_import(gpu_check):
    stages = [f"{PACKAGE}.stages.{name}" for name in stage_modules(FOLDER)]
    files = [file for file in local_imports(stages, neutral=set()) if file.suffix == ".py"]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    needed = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {PACKAGE} - THERE - UNUSED_THERE
    carried = {name.replace("-", "_").partition(".")[0] for name in (*gpu_check.PURE, *gpu_check.COMPILED)}
    assert {"pydantic", "pythae", "airbench"} <= needed <= carried


def test_what_it_is_given_has_a_version(gpu_check):
    locked = re.findall(r"^([\w.-]+)==", Path("requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*gpu_check.PURE, *gpu_check.COMPILED} <= {name.lower().replace("_", "-") for name in locked}


def test_runs_come_home_in_pieces_each_once(gpu_check, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "LARGEST_FILE", 10_000)
    there, here = tmp_path / "there", tmp_path / "here"
    here.mkdir()
    contents = {}
    for name in ("a", "b"):
        folder = there / "models" / "cgan" / name
        folder.mkdir(parents=True)
        gpu_check.write(folder / "run.json", {"run": name, "origin": {"user": "somebody"}})
        for file in ("trained.pt", "model.safetensors"):
            contents[folder.relative_to(there) / file] = (name + file).encode() * 1000
            (folder / file).write_bytes(contents[folder.relative_to(there) / file])
    (there / "models" / "cgan" / "unfinished").mkdir()
    gpu_check.write(there / "packed.json", {"commit": "c" * 40})
    for number in range(3):
        gpu_check.collect_runs(there, tmp_path / str(number), mebibytes=0.05)
    sizes = [piece.stat().st_size for piece in (tmp_path / "0").iterdir()]
    assert max(sizes) == 10_000 and sum(sizes) <= 0.05 * 2**20 + tarfile.RECORDSIZE

    monkeypatch.chdir(here)
    gpu_check.unpack([tmp_path / "0", tmp_path / "1", tmp_path / "2"])
    assert {path: path.read_bytes() for path in contents} == contents
    assert gpu_check.read(here / "models/cgan/b/run.json")["origin"] == {"git.commit": "c" * 40, "user": "somebody"}
    assert not (here / "packed.json").exists()

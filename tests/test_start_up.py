"""What commands and stages leave out when they start: nothing is imported that they do not need."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPILER = "torch._dynamo"  # torch itself brings it in a training's first optimiser
# Stage -> what its module must not import. All leave MLflow until they open the store.
STAGES = {
    "settings": {"torch", "numpy"},
    "split": {"torchvision", "scipy", "pandas", "PIL"},
    "imbalance": {"torchvision", "torchmetrics", "sklearn", "scipy.stats", "matplotlib", "pandas"},
    "cgan": {"torchvision", "torchmetrics", "pythae", "scipy", "matplotlib", "pandas"},
    "stacked": {"torchvision", "torchmetrics", "pythae", "scipy", "matplotlib", "pandas"},
    "stage1": {"torchmetrics", "pythae", "scipy", "matplotlib", "pandas"},
    "stage2": {"torchmetrics", "pythae", "scipy", "matplotlib", "pandas"},
    "hybrid": {"torchmetrics", "sklearn", "scipy.stats", "matplotlib", "pandas"},
    "classifier": {"torchmetrics", "pythae", "scipy", "matplotlib", "pandas"},
    "coverage": {"torchmetrics", "pythae", "scipy", "matplotlib", "pandas"},
    "download": {"sklearn", "scipy", "matplotlib", "pandas"},
    "evaluate": {"pythae", "sklearn", "pandas"},
    "report": {"torchvision", "torchmetrics", "pythae", "sklearn", "scipy"},
}


def imported(code: str, folder: Path | str = ".") -> set[str]:
    """Names of all modules that a new process has after `code`."""
    report = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    """Code that runs `modescope ARGUMENTS` and goes on after it."""
    return f"""
import sys
from modescope.cli import main
sys.argv = ["modescope", *{arguments}]
try:
    main()
except SystemExit as end:
    assert not end.code"""


@pytest.mark.parametrize("arguments", [("--help",), ("use", "--help"), ("use", "demo")])
def test_commands_that_compute_nothing_import_nothing_that_computes(tmp_path, arguments):
    shutil.copytree("profiles", tmp_path / "profiles")
    found = imported(command(*arguments), tmp_path)
    assert not found & {"torch", "numpy", "pandas", "mlflow", "scipy", "matplotlib"}
    assert (tmp_path / "params.yaml").exists() == (arguments == ("use", "demo"))


@pytest.mark.parametrize("module", ["config.profiles", "config", "process", "runs.key", "runs.git_facts", "doctor"])
def test_modules_that_compute_nothing_import_nothing_that_computes(module):
    found = imported(f"import modescope.{module}")
    assert f"modescope.{module}" in found and not found & {"torch", "pandas", "mlflow", "scipy", "matplotlib"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_what_it_needs(stage):
    found = imported(f"import modescope.stages.{stage}")
    assert not found & (STAGES[stage] | {"mlflow", "dvc", COMPILER})


ASKED = """
import modescope.vision, sys
from torchvision.ops import roi_align
asked = sys.modules["torchvision.ops.roi_align"]"""
COMPILER_FIRST, COMPILER_LATER = f"from torch._dynamo import utils{ASKED}", f"{ASKED}\nfrom torch._dynamo import utils"


def test_torchvision_leaves_the_compiler_to_whoever_asks_for_it():
    assert COMPILER not in imported("from modescope.vision import torchvision; torchvision.datasets.MNIST")
    same = "assert asked.is_compile_supported is not utils.is_compile_supported"
    answers = """
for device in ("cpu", "cuda"):
    assert asked.is_compile_supported(device) == utils.is_compile_supported(device)"""
    assert COMPILER in imported(f"{COMPILER_LATER}\n{same}{answers}")


def test_a_compiler_that_is_there_is_the_one_that_torchvision_gets():
    imported(f"{COMPILER_FIRST}\nassert asked.is_compile_supported is utils.is_compile_supported")

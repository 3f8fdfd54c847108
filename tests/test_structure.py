"""The house rules: limits of size, imports that point down, dvc.yaml that names all the code and the parameters of its
stages.
"""

import ast
import re
from pathlib import Path

import pytest
import yaml

from modescope.provenance import local_imports

SOURCE = Path("src/modescope")
FILES = sorted(SOURCE.rglob("*.py"))
STAGES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
}
MODULES = {name: re.search(r"python -m modescope\.stages\.(\w+)", stage["cmd"])[1] for name, stage in STAGES.items()}
# A package may import packages further down this list, and itself.
LAYERS = [{"cli", "stages", "doctor"}, {"studies"}, {"report", "mlflow"}, {"evaluation"}, {"training"}, {"models"}, {"data"}, {"runs"}, {"pictures", "process", "profile", "provenance", "vision"}, {"config", "dotted", "errors", "files"}]  # fmt: skip


def functions(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_sizes(path):
    assert len(path.read_text().splitlines()) <= 300, "split the file"
    for node in functions(path):
        assert node.end_lineno - node.lineno < 50, f"{node.name} is longer than 50 lines"
        arguments = [
            a for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs if a.arg not in ("self", "cls")
        ]
        assert len(arguments) <= 8, f"{node.name} takes more than 8 arguments"


def test_no_function_stands_twice():
    bodies = {}
    for path in FILES:
        for node in functions(path):
            if node.end_lineno - node.lineno >= 8:
                body = ast.dump(ast.Module(node.body[bool(ast.get_docstring(node)) :], []))
                other = bodies.setdefault(body, f"{path}:{node.name}")
                assert other == f"{path}:{node.name}", f"{path}:{node.name} repeats {other}"


def layer(module):
    name = module.split(".")[1] if "." in module else "config"
    return next(index for index, layer in enumerate(LAYERS) if name in layer)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path):
    module = ".".join(path.relative_to("src").with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        names = (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        for name in names:
            if name.startswith("modescope."):
                same_package = module.split(".")[1] == name.split(".")[1]
                assert same_package or layer(name) > layer(module) or layer(module) == len(LAYERS) - 1, (
                    f"{module} imports {name}"
                )
            assert name.split(".")[0] != "mlflow" or module.startswith("modescope.mlflow."), f"{module} imports mlflow"


def test_the_loop_names_no_model():
    assert not re.findall(r"\b(gan|vae)", (SOURCE / "training" / "loop.py").read_text().lower())


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_exactly_the_code_that_a_stage_runs(name):
    needed = {str(path.relative_to(Path.cwd())) for path in local_imports(f"modescope.stages.{MODULES[name]}")}
    declared = {dep for dep in STAGES[name]["deps"] if dep.endswith(".py")}
    assert declared == needed, f"missing: {sorted(needed - declared)}; too many: {sorted(declared - needed)}"


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_described_and_is_a_module(name):
    """Its name is the module's, with more behind a hyphen where several stages run the same module."""
    assert STAGES[name]["desc"]
    assert name == MODULES[name] or name.startswith(f"{MODULES[name]}-")
    main = next(node for node in functions(SOURCE / "stages" / f"{MODULES[name]}.py") if node.name == "main")
    statements = list(range(main.lineno, main.end_lineno + 1))
    assert len(statements) <= 30

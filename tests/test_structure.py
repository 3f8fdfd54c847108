"""The house rules: limits of size, imports that point down and form no circle, stages that depend on their own code."""

import ast
import graphlib
import re
from pathlib import Path

import pytest
import yaml

from modescope.runs.code import DATA, TRAININGS
from modescope.stages.code import stage_modules

SOURCE = Path("src/modescope")
FILES = sorted(SOURCE.rglob("*.py"))
STAGES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
}
MODULES = {name: re.match(r"\$\{run\}\.(\w+) ", stage["cmd"])[1] for name, stage in STAGES.items()}
# A package may import packages further down this list, and itself.
LAYERS = [
    {"cli"},
    {"own", "export"},
    {"stages", "doctor", "parallel", "scoring"},
    {"studies", "explore", "game"},
    {"browser"},
    {"report", "mlflow"},
    {"evaluation"},
    {"training"},
    {"models"},
    {"data"},
    {"runs"},
    {"pictures", "process", "vision"},
    {"inputs", "threads"},
    {"config"},
    {"dotted", "files"},
    {"errors"},
]


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


def dotted(path):
    return ".".join(path.relative_to("src").with_suffix("").parts).removesuffix(".__init__")


def imported(path):
    """Names of modules, and of what is taken from them; imports inside functions count."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


IMPORTS = {dotted(path): set(imported(path)) for path in FILES}
GRAPH = {module: names & IMPORTS.keys() - {module} for module, names in IMPORTS.items()}  # our own modules alone


def layer(module):
    return next(index for index, layer in enumerate(LAYERS) if module.split(".")[1] in layer)


def test_imports_point_down():
    of_packages = {(one, other) for one, names in GRAPH.items() for other in names if "." in one and "." in other}
    same = {(one, other) for one, other in of_packages if one.split(".")[1] == other.split(".")[1]}
    assert [(one, other) for one, other in sorted(of_packages - same) if layer(other) <= layer(one)] == []


def test_imports_form_no_circle():
    """Between modules; a package's `__init__` may gather the modules below it."""
    graph = {module: {name for name in names if not module.startswith(f"{name}.")} for module, names in GRAPH.items()}
    assert len([*graphlib.TopologicalSorter(graph).static_order()]) == len(GRAPH)


def test_mlflow_stays_in_its_package():
    users = {module for module, names in IMPORTS.items() for name in names if name.split(".")[0] == "mlflow"}
    assert users and all(module.startswith("modescope.mlflow") for module in users)


@pytest.mark.parametrize("path", [*FILES, *sorted(Path("benchmarks").glob("*.py"))], ids=str)
def test_text_is_utf8_by_name(path):
    """Whatever the locale is; ruff's PLW1514 sees no path whose type is not written beside it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            assert called not in ("read_text", "write_text") or "encoding" in given, f"{path}:{node.lineno}"
            assert "text" not in given or called in ("replace", "dataclass"), f"{path}:{node.lineno}: say encoding"


def test_the_loop_names_no_model():
    assert not re.findall(r"\b(gan|vae)", (SOURCE / "training" / "loop.py").read_text().lower())


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_depends_on_the_code_of_its_own_module(name):
    """And on no other source; where models have code of their own, on that of the model that it trains."""
    model = "-${item.model}" if f"modescope.stages.{MODULES[name]}" in TRAININGS else ""
    own = "src/modescope" if name == "code" else f"data/code/{MODULES[name]}{model}.txt"
    assert [dep for dep in STAGES[name]["deps"] if "src" in dep or "code" in dep] == [own]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_uses_a_gpu_asks_for_one(name):
    """`modescope repro` hides all GPUs from the others."""
    uses = "modescope.training.device.training_device" in IMPORTS[f"modescope.stages.{MODULES[name]}"]
    assert uses == ("gpus" in STAGES[name].get("meta", {}))


def test_every_stage_module_is_a_stage():
    assert {*stage_modules(SOURCE), "code"} == set(MODULES.values())


def test_the_package_is_code_and_data_that_count_as_code():
    assert {file.suffix for file in SOURCE.rglob("*") if file.is_file() and "__pycache__" not in file.parts} == {
        ".py",
        *DATA,
    }


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_described_and_is_a_module(name):
    """Its name is the module's, with more behind a hyphen where several stages run the same module."""
    assert STAGES[name]["desc"]
    assert name == MODULES[name] or name.startswith(f"{MODULES[name]}-")
    main = next(node for node in functions(SOURCE / "stages" / f"{MODULES[name]}.py") if node.name == "main")
    statements = list(range(main.lineno, main.end_lineno + 1))
    assert len(statements) <= 30

"""Stage `code`: what the code of every stage does, as a digest each, on which that stage depends."""

import ast
from pathlib import Path

from modescope.config import load_params
from modescope.files import atomic_path
from modescope.process import run_stage
from modescope.runs.code import PACKAGE, TRAININGS, stage_code


def main(package: Path, out: Path) -> None:
    """Write MODULE.txt for every stage module of PACKAGE to OUT, MODULE-MODEL.txt for models with code of their own.

    All stages depend on this one, so a params.yaml that is refused ends here, before DVC removes a path or runs a
    command that one of its names is part of.
    """
    load_params()
    with atomic_path(out) as folder:
        folder.mkdir()
        for stage in stage_modules(package):
            module = f"{PACKAGE}.stages.{stage}"
            for model in TRAININGS.get(module, [None]):
                name = stage if model is None else f"{stage}-{model}"
                (folder / f"{name}.txt").write_text(stage_code(module, model, package) + "\n", encoding="utf-8")


def stage_modules(package: Path) -> list[str]:
    """Names of the modules that have a `main`, but for this one."""
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted((package / "stages").glob("*.py"))}
    functions = {
        file.stem: [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        for file, tree in trees.items()
    }
    return [name for name, found in functions.items() if "main" in found and name != "code"]


if __name__ == "__main__":
    run_stage(main)

"""What a run is made of: its code, its data and its parameters, as one key."""

import ast
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modescope.files import root, sha256

PACKAGE = "modescope"
# Modules that file results and cannot change them: a change there retrains nothing (parameters are hashed by value).
NEUTRAL = {"config", "dotted", "errors", "files", "process", "profile", "provenance", "mlflow", "runs"}


def _module_path(name: str) -> Path | None:
    """The source file of a local module, or None if `name` is no module (a function, say)."""
    if name != PACKAGE and not name.startswith(PACKAGE + "."):
        return None
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _holds_code(source: Path) -> bool:
    """Whether there is more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(source.read_text(encoding="utf-8")).body)


def _imported_names(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@cache
def local_imports(module: str) -> tuple[Path, ...]:
    """Source files of `module` and of every module of ours that it imports, directly or not, sorted.

    Imports inside functions count, so do packages; `NEUTRAL` modules and files without code do not.
    """
    found: set[Path] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        path = None if name.split(".")[1:2] and name.split(".")[1] in NEUTRAL else _module_path(name)
        if path is None or path in found or not _holds_code(path):
            continue
        found.add(path)
        queue.extend(_imported_names(path))
        queue.append(name.rpartition(".")[0])  # importing a module runs its package first
    return tuple(sorted(found))


def code_digest(module: str) -> str:
    """sha256 over the source text of `local_imports(module)`."""
    digest = hashlib.sha256()
    for path in local_imports(module):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_key(stage: str, params: Mapping[str, Any], data_digests: Mapping[str, str], code: str) -> str:
    """16 hex digits that name a run: equal for equal stage, parameters, data and code, on every machine."""
    parts = {"stage": stage, "params": params, "data": data_digests, "code": code}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def describe_run(
    module: str,
    study: str,
    run: str,
    model: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, Path],
    data: Mapping[str, Any],
    hardware: Mapping[str, Any],
) -> dict[str, Any]:
    """What run.json says of a run before it starts, its key first.

    Args:
        module: dotted name of the stage's module, whose imports are the run's code.
        study, run, model: experiment, name within it, and which sampler reads its weights.
        params: the parameters that the stage reads, nested.
        inputs: the files that it reads, by role.
        data: name, classes and split of its data.
        hardware: device and arithmetic in use; not part of the key.
    """
    digests = {role: sha256(path) for role, path in inputs.items()}
    code = code_digest(module)
    stage = module.rpartition(".")[2]
    return {
        "key": run_key(f"{stage}:{study}/{run}", params, digests, code),
        "study": study,
        "run": run,
        "stage": os.environ.get("DVC_STAGE", stage),
        "model": model,
        "params": params,
        "data": {**data, **_count(inputs), "digest": hashlib.sha256("".join(digests.values()).encode()).hexdigest()},
        "code": code,
        **hardware,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "torchmetrics", "pythae")},
        },
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _count(inputs: Mapping[str, Path]) -> dict[str, int]:
    """`images`: how many a split lists, where the run trains on one."""
    return {"images": len(json.loads(inputs["split"].read_text())["indices"])} if "split" in inputs else {}


def work_folder(info: Mapping[str, Any]) -> Path:
    """Where a run lives until it is finished: found again by its key, by whichever process goes on with it."""
    return root() / ".ckpt" / info["key"]

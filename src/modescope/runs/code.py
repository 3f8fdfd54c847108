"""The code that a run is made of: the modules that its stage imports, and a digest of what they do.

DVC compares the digests of whole stages (stage `code`), a run's key holds its own: both are `stage_code`.
"""

import ast
import hashlib
from collections.abc import Iterable, Set
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE, FOLDER = "modescope", Path(__file__).parents[1]
# Packages and modules that file results and cannot change them: a change there retrains nothing. Parameters are hashed
# by value.
NEUTRAL = {"config", "dotted", "errors", "files", "inputs", "process", "threads", "mlflow", "runs"}
# Stage `settings` writes what config/ resolves: for this one it is the code that matters.
FOLLOWED = {"modescope.stages.settings": {"config"}}
# What makes a model's training, where a stage has several and imports by name the one that it runs: a change in the
# code of one model retrains no other.
TRAININGS = {
    "modescope.stages.imbalance": {
        "gan": "modescope.training.gan:gan_training",
        "gan-ours": "modescope.training.gan:gan_training",
        "vae": "modescope.training.vae:vae_training",
    }
}
DATA = (".j2", ".yaml")  # files beside modules that these read
# Fields of syntax nodes that change nothing, or exist only under some versions of Python.
IGNORED = {"ctx", "kind", "type_comment", "type_ignores"}


def stage_code(module: str, model: str | None = None, folder: Path = FOLDER) -> str:
    """`code_digest` of a stage's module, and of `model`'s training where `TRAININGS` has it."""
    training = TRAININGS.get(module, {}).get(model, "")
    return code_digest([module, training.partition(":")[0]], folder, NEUTRAL - FOLLOWED.get(module, set()))


def code_digest(modules: Iterable[str], folder: Path = FOLDER, neutral: Set[str] = NEUTRAL) -> str:
    """sha256 of what `modules` and all that they import do: comments, docstrings and layout do not count.

    Args:
        modules: dotted names.
        folder: where the package lies.
        neutral: what in it does not count.
    """
    digest = hashlib.sha256()
    for path in local_imports(modules, folder, neutral):
        content = _read(path.read_text(encoding="utf-8"))[1] if path.suffix == ".py" else path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def local_imports(modules: Iterable[str], folder: Path = FOLDER, neutral: Set[str] = NEUTRAL) -> list[Path]:
    """Files of `modules` and of every module of ours that they import, directly or not, sorted.

    Imports inside functions count, so do packages and the data beside a module; `neutral` modules and files without
    code do not.
    """
    found: set[Path] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        path = _source(name, folder, neutral)
        if path is None or path in found:
            continue
        imported, content = _read(path.read_text(encoding="utf-8"))
        if content:
            found.add(path)
            queue.extend(imported)
            queue.append(name.rpartition(".")[0])  # importing a module runs its package first
    beside = {file for path in found for file in path.parent.iterdir() if file.suffix in DATA}
    return sorted(found | beside)


def _source(module: str, folder: Path, neutral: Set[str]) -> Path | None:
    """The file of a module of ours; None for others, for neutral ones, and for what is no module (a function, say)."""
    package, *names = module.split(".")
    if package != PACKAGE or neutral.intersection(names[:1]):
        return None
    place = folder.joinpath(*names)
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


@cache
def _read(source: str) -> tuple[frozenset[str], bytes]:
    """Names that a module imports, and what it does, as `dump` has it; nothing for a module that does nothing."""
    tree = ast.parse(source)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return frozenset(names), dump(tree.body).encode()


def dump(node: Any) -> str:
    """A syntax tree as text, the same under Python 3.11 to 3.14; `ast.dump` changes with every version.

    Expression statements that are a string, such as docstrings, are left out. Empty fields are, too, whether a version
    has them (`type_params`, since 3.12) or not, and a text beside a text in an f-string is one text.
    """
    if isinstance(node, list):
        return "".join([f"{dump(each)};" for each in node if not _is_text(each)])
    if not isinstance(node, ast.AST):
        return ascii(node)  # repr of a character depends on the version of Unicode
    text = type(node).__name__ + "("
    for name in _fields(type(node)):
        value = getattr(node, name, None)
        if value is not None and value != []:
            text += f" {name}={dump(_joined(value) if isinstance(node, ast.JoinedStr) else value)}"
    return text + ")"


@cache
def _fields(kind: type[ast.AST]) -> list[str]:
    return sorted(set(kind._fields) - IGNORED)


def _is_text(node: Any) -> bool:
    """Whether a statement is a string that nothing reads."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string, texts joined and empty ones left out."""
    parts: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
            parts[-1] = ast.Constant(parts[-1].value + value.value)
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            parts.append(value)
    return parts

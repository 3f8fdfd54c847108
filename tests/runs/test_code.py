"""A digest follows what code does, through all that it imports, and nothing else."""

import ast
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from modescope.runs.code import FOLDER, code_digest, dump, local_imports
from modescope.stages import code

SAMPLE = '''
"""Its purpose."""
import os.path as p
from a import (b, c)

@d
class E(F, metaclass=G):
    """What it holds."""
    x: int = 1_000
    def f(self, a, /, b=None, *args, c: "str" = u"é\U0001fae0", **more):  # a comment
        """What it does."""
        with open(a) as file, b as (y, z):
            return {**more, 1: f"{a!r:>{b}}" "}} and " f"{{{c=}" ""}
    async def g(self): yield lambda: (not -1.5e-3j, ..., b"\\0", True)
match e:
    case E(x=[1, *rest], y={"k": None, **others}) if rest: pass
    case _: del p, x[1:2, ::3]
try: global w; w: float
except* (OSError, ValueError) as error: raise error from None
finally: [v := u for u in (1,) if u]
'''
PINNED = "81a16026d5bdb3b4753280f092385ef7001f6bfe1c3671c427019d11c56d1a91"
INTERPRETERS = sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python")) or [Path(sys.executable)]


def same(first, second):
    return dump(ast.parse(first)) == dump(ast.parse(second))


@pytest.mark.parametrize(
    "other",
    [
        "x = 1  # one\n\n\ny = (f(a, 'b'))\n",
        '"""A module."""\nx = 1\ny = f(\n    a,\n    "b",\n)',
        "x = 1\n'a note on x'\ny = f(a, 'b')",
        "x = 0x1; y = f(a, '' 'b')",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(other):
    assert same("x = 1\ny = f(a, 'b')", other)


@pytest.mark.parametrize(
    "other", ["x = 1.0", "x = True", "x = '1'", "y = 1", "x: int = 1", "x = 1\nx = 1", "x += 1", "x = -1", "x = 1,"]
)
def test_all_that_is_done_counts(other):
    assert not same("x = 1", other)


def test_parts_of_f_strings_count_however_they_are_cut():
    assert same("f'a{b}' 'c'", "f'a{b}c'") and same("f'{b}'", "'' f'{b}'")
    assert not same("f'a{b}c'", "f'a{b}d'") and not same("f'{b}'", "f'{b!r}'") and not same("f'{b}'", "f'{b:d}'")


def test_none_is_told_from_nothing():
    assert not same("{**a, b: c}", "{a: b, **c}") and not same("return_(None)", "return_()")


DIGESTS = """
import ast, hashlib, sys
from pathlib import Path
from modescope.runs.code import FOLDER, dump
texts = [sys.stdin.buffer.read().decode(), *(file.read_text(encoding="utf-8") for file in sorted(FOLDER.rglob("*.py")))]
print([hashlib.sha256(dump(ast.parse(text)).encode()).hexdigest() for text in texts])"""


@cache
def digests(python):
    """sha256 of the sample's tree and of all our sources', under an interpreter."""
    environment = {"PYTHONPATH": str(FOLDER.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.check_output([python, "-c", DIGESTS], env=environment, input=SAMPLE.encode()).decode()


@pytest.mark.parametrize("python", INTERPRETERS, ids=lambda path: path.parts[-3])
def test_every_python_gives_the_same(python):
    """The sample's digest is pinned, for Pythons to come."""
    assert PINNED in digests(python) and digests(python).count(",") > 100
    assert digests(python) == digests(Path(sys.executable))


def test_imports_are_followed_and_filing_is_left_out():
    names = {path.relative_to(FOLDER).as_posix() for path in local_imports(["modescope.stages.cgan"])}
    assert {"stages/cgan.py", "training/loop.py", "models/layers.py"} <= names
    assert not names & {"runs/log.py", "mlflow/filing.py", "config/params.py", "report/tables.py", "training/vae.py"}


def test_a_digest_is_of_its_module():
    assert code_digest(["modescope.training.loop"]) != code_digest(["modescope.training.losses"])
    assert code_digest(["modescope.training.loop"]) == code_digest(["modescope.training.loop"])


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return shutil.copytree(
        FOLDER, tmp_path_factory.mktemp("source") / "modescope", ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture
def changed(package, tmp_path):
    """Calls a function that changes the package, undoes it, and gives the names of stage `code`'s changed files."""

    def digests(name):
        code.main(package, tmp_path / name)
        return {file.stem: file.read_text(encoding="utf-8") for file in (tmp_path / name).iterdir()}

    def difference(change):
        before, texts = digests("before"), {file: file.read_bytes() for file in package.rglob("*") if file.is_file()}
        change()
        after = digests("after")
        for file, text in texts.items():
            file.write_bytes(text)
        assert before.keys() == after.keys() and len(before) > 15
        return {name for name in before if before[name] != after[name]}

    return difference


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_comments_docstrings_and_layout_anywhere_change_no_digest(package, changed):
    def rewrite():
        """Every file as Python prints its tree: no comment, no line as it was; and with other docstrings."""
        for file in package.rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
                    node.body[0].value.value = "Something else."
            file.write_text(ast.unparse(tree), encoding="utf-8")

    assert changed(rewrite) == set()


def test_a_constant_of_the_vae_concerns_those_who_train_one_and_no_gan(package, changed):
    assert changed(lambda: edit(package / "training" / "vae.py", "seed)", "seed + 1)")) == {"imbalance-vae", "hybrid"}


@pytest.mark.parametrize(
    "file, stages",
    [
        ("training/gan.py", {"imbalance-gan", "imbalance-gan-ours", "hybrid"}),
        ("training/cgan.py", {"cgan", "stacked"}),
        ("evaluation/coverage.py", {"coverage", "stacked_real"}),
        ("stages/imbalance.py", {"imbalance-gan", "imbalance-gan-ours", "imbalance-vae"}),
        ("config/two_stage.py", {"settings"}),
        ("mlflow/sending.py", set()),
    ],
)
def test_a_changed_module_concerns_those_who_run_it(package, changed, file, stages):
    def change():
        with open(package / file, "a", encoding="utf-8") as text:
            text.write("\nADDED = 1\n")

    assert changed(change) == stages


def test_a_template_concerns_the_pages(package, changed):
    assert changed(lambda: edit(package / "report" / "page.html.j2", "<", "<!-- -->\n<")) == {
        "game",
        "report",
        "overview",
    }

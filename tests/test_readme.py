"""README and the documentation keep their promises: commands and files exist, results are the generated ones."""

import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from modescope.cli import app

PAGES = [Path("README.md"), *sorted(Path("docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
KNOWN = {  # what may follow a program's name; for make and modescope what they have
    "make": re.findall(r"^([\w-]+):", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE),
    "modescope": list(typer.main.get_command(app).commands),
    "dvc": ["config", "exp", "metrics", "params", "plots", "pull", "push", "queue", "remote", "repro", "status"],
    "git": ["add", "checkout", "clone", "commit", "pull", "push"],
    "source": [".venv/bin/activate"],
}


def commands(page: Path) -> list[str]:
    """The commands in a page's blocks of shell lines, without comments and settings of the environment."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    found = [command.strip() for line in lines for command in re.split(r"&&|·", line) if command.strip()]
    return [re.sub(r"^(\w+=\S+ )+", "", command) for command in found if not command.startswith(("export ", "cd "))]


def links(page: Path) -> list[str]:
    """Files and folders of the repository to which a page links, as it names them."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href|srcset)=\"([^\"]+)\"", text)
    return sorted({target.partition("#")[0] for target in targets if not re.match(r"\w+:|#", target)})


def of_pages(find):
    """A test's parameters: every page with each of the things that `find` finds in it."""
    return [pytest.param(page, found, id=f"{page}-{found}") for page in PAGES for found in dict.fromkeys(find(page))]


@pytest.mark.parametrize(("page", "command"), of_pages(commands))
def test_commands_exist(page, command):
    program, name, *rest = command.split()
    if program.startswith("python"):
        assert Path(name if name != "-m" else f"{rest[0].replace('.', '/')}.py").is_file()
    else:
        assert name in KNOWN[program]


@pytest.mark.parametrize(("page", "target"), of_pages(links))
def test_links_and_pictures_exist(page, target):
    assert (page.parent / target).exists()


def test_the_columns_that_are_dropped_of_dvcs_table():
    """DVC drops those whose name the expression matches from the start on: all but a study's few numbers."""
    for text in (README, Path("docs/experiments.md").read_text(encoding="utf-8")):
        dropped = re.compile(re.search(r"--drop '([^']+)'", text)[1])
        assert dropped.match("metrics/two-stage/stage2-d.json:fid_classifier") and dropped.match("src/modescope")
        assert not dropped.match("two-stage.fid") and not dropped.match("ce_loss_weight")


@pytest.mark.parametrize("page", sorted(Path("reports").rglob("*.html")), ids=str)
def test_a_page_is_no_larger_than_5_megabytes(page):
    assert page.stat().st_size <= 5e6


def test_readme_names_the_two_commands():
    assert {"make demo", "make test"} <= set(commands(PAGES[0])) and len(links(PAGES[0])) > 5


def test_the_results_are_the_generated_table():
    """The committed results are the standard profile's, whichever is in use."""
    for study in ("imbalance", "two-stage", "cgan"):
        assert Path("reports", study, "tables", "readme.md").read_text(encoding="utf-8").strip() in README


def test_the_version_is_one():
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
    versions = re.findall(r"^## \[(\d\S*)\]", Path("CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert project["version"] == citation["version"] == versions[0]
    assert project["license"] == citation["license"] == "MIT"
    assert Path("LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_ruff_is_the_same_everywhere():
    """`make lint` judges by one version: the one that pyproject.toml names and requirements.lock installs."""
    extras = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (ruff,) = (name for name in extras["lint"] if name.startswith("ruff"))
    assert ruff in Path("requirements.lock").read_text(encoding="utf-8").splitlines()


FAULTS = Path("docs/faults.md").read_text(encoding="utf-8")


def test_every_promise_about_faults_names_a_test_that_exists():
    named = re.findall(r"\| `(tests/\S+\.py)::(test_\w+)` \|", FAULTS)
    assert len(named) == FAULTS.count("\n|") - 2 > 30
    assert [name for file, name in named if f"def {name}(" not in Path(file).read_text(encoding="utf-8")] == []

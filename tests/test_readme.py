"""README keeps its promises: its commands exist, its tables and pictures are the generated ones."""

import re
from pathlib import Path

import pytest
import typer

from modescope.cli import app

README = Path("README.md").read_text(encoding="utf-8")
LINES = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
COMMANDS = [command.strip() for line in LINES for command in re.split(r"&&|·", line) if command.strip()]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command):
    program, name = command.split()[:2]
    known = {
        "make": re.findall(r"^([\w-]+):", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE),
        "modescope": list(typer.main.get_command(app).commands),
        "dvc": ["repro", "exp", "metrics", "plots", "pull", "push", "queue"],
        "source": [".venv/bin/activate"],
        "git": ["checkout"],
    }
    assert name in known[program]


@pytest.mark.parametrize("path", re.findall(r"\]\(((?:docs|reports)/[^)]+)\)", README))
def test_links_and_pictures_exist(path):
    assert Path(path).is_file()


def test_the_results_are_the_generated_table():
    """The committed results are the standard profile's; a demo that ran here since would show up in params.yaml."""
    if Path("params.yaml").read_text(encoding="utf-8") != Path("profiles/standard.yaml").read_text(encoding="utf-8"):
        pytest.skip(
            "params.yaml holds another profile: `modescope use standard` and `git checkout reports` bring README's results back"
        )
    for table in (
        "imbalance/tables/summary.md",
        "two-stage/tables/two_stage_summary.md",
        "cgan/tables/cgan_summary.md",
    ):
        assert (Path("reports") / table).read_text().strip() in README

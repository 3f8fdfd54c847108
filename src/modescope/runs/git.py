"""Git, asked about the repository of a folder and about no other."""

import os
import subprocess
from pathlib import Path

KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_")  # who commits, and which settings hold


def own_environment() -> dict[str, str]:
    """This process's environment without what names a repository (`GIT_DIR`, say, which git sets for its hooks), an
    index or a program to compare files with.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(KEPT)}


def git(folder: Path, *arguments: str) -> str:
    """What a git command prints. Raises CalledProcessError, and OSError without git."""
    command = ["git", "-c", "color.ui=false", *arguments]
    options = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "check": True}
    return subprocess.run(command, cwd=folder, env=own_environment(), **options).stdout

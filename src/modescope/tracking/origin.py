"""Where a run comes from: commit, experiment, profile. Facts that change no result."""

import os
import subprocess
from pathlib import Path

from modescope.config import PARAMS, load_params, profile_name

OUTPUTS = ("dvc.lock", "metrics", "reports")  # what the pipeline itself writes into git


def origin() -> dict[str, str]:
    """`git.commit`, `dvc.exp`, `dvc.baseline`, `profile`, each where there is one."""
    facts = {
        "git.commit": _git("rev-parse", "HEAD"),
        "dvc.exp": os.environ.get("DVC_EXP_NAME"),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV"),
        "profile": profile_name(load_params()) if PARAMS.exists() else None,
    }
    return {name: value.strip() for name, value in facts.items() if value}


def uncommitted() -> str:
    """The difference between the working folder and its commit, without the pipeline's own outputs; empty outside git."""
    return _git("diff", "HEAD", "--", ".", *(f":(exclude){path}" for path in OUTPUTS))


def _git(*arguments: str) -> str:
    """Output of a git command; empty without git, repository or commit."""
    if not Path(".git").exists():
        return ""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, errors="replace").stdout
    except (OSError, subprocess.CalledProcessError):
        return ""

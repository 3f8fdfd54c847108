"""Where a run was made: commit, experiment and what it changed, profile, user. Facts that change no result."""

import getpass
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modescope.config import PARAMS, load_params, parse_yaml, profile_name, profile_names, profile_values, read_yaml
from modescope.config.profiles import show
from modescope.dotted import dotted
from modescope.errors import UserError
from modescope.runs.git import git

OUTPUTS = ("dvc.lock", "metrics", "reports", "profiles/*/*")  # what the pipeline itself writes into git
SET_BY_HAND = 20  # at most so many values are changed by `-S`; more of them are another profile


def origin() -> dict[str, str]:
    """`git.commit`, `dvc.exp`, `dvc.baseline`, `changes`, `profile`, `results`, `user`, each where there is one."""
    baseline = os.environ.get("DVC_EXP_BASELINE_REV")
    params = load_params() if PARAMS.exists() else None
    facts = {
        "git.commit": _git("rev-parse", "HEAD"),
        "dvc.exp": os.environ.get("DVC_EXP_NAME"),
        "dvc.baseline": baseline,
        "changes": _changes(baseline) if baseline else None,
        "profile": params and profile_name(params),
        "results": params and params.results,
        "user": _user(),
    }
    return {name: value.strip() for name, value in facts.items() if value}


def uncommitted() -> str:
    """The difference between the working folder and its commit; empty outside git.

    Parameters are left out, which a run has in its own file, and so is what the pipeline writes.
    """
    return _git("diff", "--no-ext-diff", "HEAD", "--", ".", *(f":(exclude){path}" for path in (PARAMS, *OUTPUTS)))


def _changes(baseline: str) -> str:
    """What an experiment changed in its baseline's params.yaml: `ce_loss_weight=1.0, n_gen=5`.

    After a `modescope use` that was not committed, what differs from that profile, the nearest one.
    """
    try:
        before, now = parse_yaml(_git("show", f"{baseline}:./{PARAMS}"), baseline), read_yaml(PARAMS)
    except UserError:
        return ""
    changed = differing(before, now)
    if len(changed) > SET_BY_HAND:
        changed = min((differing(profile_values(name), now) for name in profile_names()), key=len, default=changed)
    shown = [f"{name}={value}" for name, value in changed.items()][:SET_BY_HAND]
    return ", ".join(shown) + (f" and {len(changed) - len(shown)} more" if len(changed) > len(shown) else "")


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What differs in `now` by dotted name, as YAML writes it; `(none)` for what is gone."""
    old, new = dotted(before), dotted(now)
    names = [name for name in new if name not in old or old[name] != new[name]] + [
        name for name in old if name not in new
    ]
    return {name: show(new, name) for name in names}


def _user() -> str | None:
    """The login name; a container may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _git(*arguments: str) -> str:
    """Output of a git command; empty without git, repository or commit."""
    if not Path(".git").exists():
        return ""
    try:
        return git(Path(), *arguments)
    except (OSError, subprocess.CalledProcessError):
        return ""

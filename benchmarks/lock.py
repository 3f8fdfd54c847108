"""`make lock`: bring dvc.lock to the code of today without training everything again.

A change of code that cannot change a result (a rename, a new option) changes the digests of stage `code` all the same,
and DVC would run every stage that follows. The rule: outputs stay under changed code only if, in the `demo` profile,
one stage of each module whose code changed gives equal weights, data and scores under the code that dvc.lock knows and
under that of today. Both run on this machine, so it does not matter where the outputs were made.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from shutil import copy
from typing import Any

import yaml
from dvc.repo import Repo

from benchmarks.gpu_check import resolved_stages
from modescope.errors import UserError
from modescope.files import read_json, sha256
from modescope.process import exit_readably
from modescope.runs.folder import RUN_FILE

CODE = "data/code/"
DEMO = Path("profiles/demo.yaml")
TIMES = ("seconds", "steps_per_second")
COMMITS = 50  # that changed the package, among which the code that dvc.lock knows is looked for


def call(*command: str, folder: Path = Path()) -> str:
    """What a command prints. Raises UserError where it fails."""
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", cwd=folder, env=environment)
    if done.returncode:
        raise UserError(f"`{' '.join(command)}` failed, see above: dvc.lock was not brought up to date")
    return done.stdout


def changed_code_alone(status: Mapping[str, Any]) -> list[str]:
    """Stages of `dvc status --json` in which nothing changed but files of data/code.

    Pages are left out: DVC writes them anew.
    """

    def changes(parts: list) -> set[str]:
        return {name for part in parts if isinstance(part, dict) for names in part.values() for name in names}

    return [
        stage
        for stage, parts in status.items()
        if stage not in ("game", "overview")
        and not stage.startswith("report-")
        and all(isinstance(part, dict) and set(part) == {"changed deps"} for part in parts)
        and all(name.startswith(CODE) for name in changes(parts))
    ]


def locked_code(stages: Iterable[str]) -> dict[str, str]:
    """The files of data/code that these stages depend on, and their MD5 in dvc.lock."""
    lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {dep["path"]: dep["md5"] for stage in stages for dep in lock[stage]["deps"] if dep["path"].startswith(CODE)}


def commit_of(code: Mapping[str, str], folder: Path) -> str:
    """The newest commit with this code. Raises UserError if there is none among the last COMMITS."""
    for commit in call("git", "rev-list", f"--max-count={COMMITS}", "HEAD", "--", "src/modescope").split():
        clone(commit, folder)
        call("python", "-m", "modescope.stages.code", "src/modescope", CODE, folder=folder)
        if all(md5(folder / name) == known for name, known in code.items()):
            return commit
    raise UserError(f"none of the last {COMMITS} commits has the code that dvc.lock knows: `dvc repro` trains anew")


def md5(file: Path) -> str | None:
    return hashlib.md5(file.read_bytes()).hexdigest() if file.exists() else None


def clone(commit: str, folder: Path) -> None:
    """`folder` holds the commit, and uses this repository's DVC cache."""
    if not folder.exists():
        call("git", "clone", "--quiet", "--shared", "--no-checkout", ".", str(folder))
    call("git", "checkout", "--quiet", "--force", commit, folder=folder)
    call("dvc", "cache", "dir", "--local", call("dvc", "cache", "dir").strip(), folder=folder)


def made_in_demo(commit: str, code: Iterable[str], folder: Path, demo: Path | None = None) -> dict[str, dict[str, Any]]:
    """For each file of data/code the first stage of the demo that depends on it, and what it makes at this commit.

    Args:
        demo: the profile's file; None takes the commit's own.

    Raises:
        UserError: there is no such stage.
    """
    clone(commit, folder)
    if demo is not None:
        copy(demo, folder / DEMO)
    call("python", "-m", "modescope.cli", "use", "demo", folder=folder)
    stages = resolved_stages(folder)
    first = {name: next((each for each, stage in stages.items() if name in stage["deps"]), None) for name in code}
    unseen = [name for name, stage in first.items() if stage is None]
    if unseen:
        raise UserError(f"no stage of the demo depends on {unseen[0]}, so nothing can be compared: `dvc repro`")
    targets = set(first.values())
    call("python", "-m", "modescope.cli", "repro", *sorted(targets), folder=folder)
    return {stage: content(folder, stages[stage]["outs"]) for stage in targets}


def content(folder: Path, outs: Iterable[str]) -> dict[str, Any]:
    """What must be equal of a stage's outputs: tensors, and JSON without times."""
    paths = [folder / out for out in outs]
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    found: dict[str, Any] = {}
    for file in files:
        name = str(file.relative_to(folder))
        if file.suffix == ".safetensors":
            found[name] = sha256(file)
        elif file.suffix == ".json" and file.name != RUN_FILE:
            table = read_json(file)
            found[name] = {key: value for key, value in table.items() if key not in TIMES}
    return found


def compare(code: Mapping[str, str]) -> None:
    """Run the demo's stages under the code that dvc.lock knows and that of today. Raises UserError for a difference."""
    with tempfile.TemporaryDirectory() as folder:
        known = commit_of(code, Path(folder, "known"))
        today = call("git", "stash", "create").strip() or "HEAD"
        print(f"demo, one stage of each of {len(code)} modules: commit {known[:7]} and today's code", flush=True)
        before = made_in_demo(known, code, Path(folder, "known"))
        settings = Path(folder, "known", DEMO)  # what is new in today's, the older code might refuse
        after = made_in_demo(call("git", "rev-parse", today).strip(), code, Path(folder, "today"), settings)
    for stage in after:
        different = [name for name, value in after[stage].items() if before.get(stage, {}).get(name) != value]
        if different:
            raise UserError(
                f"{different[0]} of the demo differs under the code of today, so it is more than a rename: "
                "`dvc repro` makes new outputs"
            )


def commit(names: Iterable[str]) -> None:
    """What `dvc commit --force NAMES` does, which reads and writes the whole lock for every stage."""
    with Repo() as repo, repo.lock:
        stages = [stage for name in names for stage in repo.stage.collect(name)]
        for stage in stages:
            stage.save()
            stage.commit()
        stages[0].dvcfile.dump_stages(stages, update_pipeline=False)


def main() -> None:
    """Compare both codes; where all is equal, commit what lies in the workspace."""
    call("dvc", "repro", "code")
    changed = changed_code_alone(json.loads(call("dvc", "status", "--json")))
    code = locked_code(changed)
    if code:
        compare(code)
        commit(changed)
    print(f"dvc.lock: {len(code)} modules at the code of today" if code else "dvc.lock is up to date")


if __name__ == "__main__":
    exit_readably(main)

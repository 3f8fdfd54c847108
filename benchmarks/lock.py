"""`make lock`: bring dvc.lock to the code of today without training everything again.

A change of code that cannot change a result (a rename, a new option) changes the digests of stage `code` all the same,
and DVC would run every stage that follows. The rule: outputs stay under changed code only if, in the `demo` profile,
stages of each module whose code changed make the same of the same inputs under the code that dvc.lock knows and under
that of today. Both run on this machine, so it does not matter where the outputs were made, nor whether they are here:
pages whose models are here are left to DVC, which writes them anew; in a fresh clone the demo's pages speak for them.
"""

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import yaml
from dvc.repo import Repo

from benchmarks.gpu_check import resolved_stages
from modescope.errors import UserError
from modescope.files import atomic_path, read_json, sha256
from modescope.process import exit_readably
from modescope.runs.folder import CURVES_FILE, DIFF_FILE, RUN_FILE

LOCK = Path("dvc.lock")
CODE = "data/code/"
PAGES = ("report-", "game")  # how the names of stages begin that make pages of runs
DEMO = Path("profiles/demo.yaml")
TIMES = ("seconds", "steps_per_second")
OWN = (RUN_FILE, CURVES_FILE, DIFF_FILE, ".pt")  # endings of files that tell of one run: its times, its code
COMMITS = 50  # that changed the package, among which the code that dvc.lock knows is looked for


def call(*command: str, folder: Path = Path()) -> str:
    """What a command prints. Raises UserError where it fails."""
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", cwd=folder, env=environment)
    if done.returncode:
        raise UserError(f"`{' '.join(command)}` failed, see above: dvc.lock was not brought up to date")
    return done.stdout


def locked_code() -> dict[str, str]:
    """The files of data/code that stages depend on and that are others today, and their MD5 in dvc.lock.

    Pages whose inputs are all here do not count.
    """
    stages = yaml.load(LOCK.read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
    found = {}
    for name, stage in stages.items():
        known = {dep["path"]: dep["md5"] for dep in stage.get("deps", [])}
        if not (name.startswith(PAGES) and all(Path(path).exists() for path in known)):
            found |= {path: old for path, old in known.items() if path.startswith(CODE)}
    return {path: old for path, old in found.items() if md5(Path(path)) not in (old, None)}


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


def use_demo(folder: Path) -> dict[str, dict[str, Any]]:
    """The demo's stages in a clone, which are its dvc.yaml's from now on."""
    call("python", "-m", "modescope.cli", "use", "demo", folder=folder)
    return resolved_stages(folder)


def to_compare(code: Iterable[str], stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The demo's stages whose outputs speak for these files of data/code: the first of each, all that write a page.

    Raises:
        UserError: there is none for a file.
    """
    found: list[str] = []
    for name in code:
        users = [stage for stage, facts in stages.items() if name in facts["deps"]]
        if not users:
            raise UserError(f"no stage of the demo depends on {name}, so nothing can be compared: `dvc repro`")
        found += [each for each in users if each == users[0] or each.startswith(PAGES)]
    return found


def run_again(stages: Sequence[Mapping[str, Any]], known: Path, today: Path) -> None:
    """Run stages with today's code on what the known code made, as many at a time as there are cores."""
    for name in {dep for stage in stages for dep in stage["deps"] if not dep.startswith(CODE)}:
        (today / name).parent.mkdir(parents=True, exist_ok=True)
        if (known / name).is_dir():
            copytree(known / name, today / name, dirs_exist_ok=True)
        else:
            copy(known / name, today / name)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda stage: call("sh", "-c", stage["cmd"], folder=today), stages))


def content(folder: Path, outs: Sequence[str]) -> dict[str, Any]:
    """What must be equal of a stage's outputs: files but for a run's OWN, JSON without times."""
    paths = [folder / out for out in outs]
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return {
        str(file.relative_to(folder)): without_times(file) if file.suffix == ".json" else sha256(file)
        for file in files
        if file.is_file() and not file.name.endswith(OWN)
    }


def without_times(file: Path) -> dict[str, Any]:
    return {key: value for key, value in read_json(file).items() if key not in TIMES}


def compare(code: Mapping[str, str]) -> None:
    """Run the demo under the code that dvc.lock knows, and its stages once more under today's.

    Raises:
        UserError: a stage makes something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        known, today = Path(folder, "known"), Path(folder, "today")
        commit = commit_of(code, known)
        print(f"the demo under commit {commit[:7]} and under today's code: {len(code)} modules differ", flush=True)
        before = use_demo(known)
        clone(call("git", "stash", "create").strip() or "HEAD", today)
        copy(known / DEMO, today / DEMO)  # what is new in today's profile, the older code might refuse
        stages = use_demo(today)
        targets = to_compare(code, stages)
        if unknown := [name for name in targets if name not in before]:
            raise UserError(
                f"commit {commit[:7]} has no stage {unknown[0]} to compare with: `dvc repro` makes new outputs"
            )
        call("python", "-m", "modescope.cli", "repro", *targets, folder=known)
        print(f"under today's code: {', '.join(targets)}", flush=True)
        run_again([stages[name] for name in targets], known, today)
        for name in targets:
            old, new = (content(place, stages[name]["outs"]) for place in (known, today))
            if different := [file for file in {**old, **new} if old.get(file) != new.get(file)]:
                raise UserError(
                    f"{different[0]} of the demo differs under the code of today, so it is more than a rename: "
                    "`dvc repro` makes new outputs"
                )


def bring_up_to_date(code: Mapping[str, str]) -> None:
    """Put the digests of today's code into dvc.lock where it has these. No output has to be here."""
    with Repo() as repo, repo.lock:
        text = LOCK.read_text(encoding="utf-8")
        for name, old in code.items():
            entry = rf"(- path: {re.escape(name)}\n +hash: md5\n +md5: ){old}(\n +size: )\d+"
            text = re.sub(entry, rf"\g<1>{md5(Path(name))}\g<2>{Path(name).stat().st_size}", text)
        with atomic_path(LOCK) as part:
            part.write_text(text, encoding="utf-8")


def main() -> None:
    """Compare both codes; where they make the same, put today's into dvc.lock."""
    call("dvc", "repro", "code")
    code = locked_code()
    if code:
        compare(code)
        bring_up_to_date(code)
    print(f"dvc.lock: {len(code)} modules at the code of today" if code else "dvc.lock is up to date")


if __name__ == "__main__":
    exit_readably(main)

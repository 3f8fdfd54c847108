"""`make lock`: bring dvc.lock to the code of today without training everything again.

A change of code that cannot change a result (a rename, a simpler form of the same sum) changes the digests of stage
`code` all the same, and DVC would run every stage that follows. The rule: outputs are committed under changed code only
if one stage of each kind whose code changed is run once more, the quickest of its training runs, and gives equal
weights, data and scores.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from modescope.errors import UserError
from modescope.files import read_json, sha256
from modescope.process import exit_readably
from modescope.runs.folder import RUN_FILE

CODE = "data/code/"
TIMES = ("seconds", "steps_per_second")


def dvc(*arguments: str) -> str:
    """What a command of DVC prints. Raises UserError where it fails."""
    done = subprocess.run(["dvc", *arguments], stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        raise UserError(f"`dvc {' '.join(arguments)}` failed, see above: dvc.lock was not brought up to date")
    return done.stdout


def changed_code_alone(status: Mapping[str, Any]) -> list[str]:
    """Stages of `dvc status --json` in which nothing changed but files of data/code."""

    def changes(parts: list) -> set[str]:
        return {name for part in parts if isinstance(part, dict) for names in part.values() for name in names}

    return [
        stage
        for stage, parts in status.items()
        if all(isinstance(part, dict) and set(part) == {"changed deps"} for part in parts)
        and all(name.startswith(CODE) for name in changes(parts))
    ]


def kinds(stages: list[str]) -> dict[str, dict[str, list[Path]]]:
    """Kind -> its stages among `stages` with their outputs, as dvc.lock names them.

    A kind is a stage of dvc.yaml, for each model by itself where its code is. Pages are no kind: DVC writes them anew.
    """
    lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
    found: dict[str, dict[str, list[Path]]] = {}
    for stage in stages:
        code = next(dep["path"] for dep in lock[stage]["deps"] if dep["path"].startswith(CODE))
        outs = [Path(out["path"]) for out in lock[stage].get("outs", [])]
        if not any(out.parts[0] == "reports" for out in outs):
            found.setdefault(f"{stage.partition('@')[0]} {code}", {})[stage] = outs
    return found


def content(outs: list[Path]) -> dict[str, Any]:
    """What must be equal of a stage's outputs: tensors, and JSON without times. Raises UserError for a missing one."""
    files = [file for out in outs for file in (sorted(out.rglob("*")) if out.is_dir() else [out])]
    if not all(out.exists() for out in outs):
        raise UserError(f"{outs[0]} is missing: `dvc checkout` or `dvc pull` first")
    tensors = {str(file): sha256(file) for file in files if file.suffix == ".safetensors"}
    tables = {str(file): read_json(file) for file in files if file.suffix == ".json" and file.name != RUN_FILE}
    timeless = {
        name: {key: value for key, value in table.items() if key not in TIMES} if isinstance(table, dict) else table
        for name, table in tables.items()
    }
    return tensors | timeless


def seconds(outs: list[Path]) -> float:
    """What a training run took; 0 for other stages."""
    runs = [out / RUN_FILE for out in outs if (out / RUN_FILE).exists()]
    return max((read_json(run).get("seconds", 0.0) for run in runs), default=0.0)


def put_back(out: Path, kept: Path) -> None:
    """Replace an output by the copy of it that was kept."""
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    shutil.move(kept, out)


def repeat(stages: Mapping[str, list[Path]]) -> None:
    """Run the quickest stage of one kind once more. Raises UserError if what it makes is not what it was.

    The old outputs stay: their records (time, code) are a little different from the new ones, and all that follows was
    made from the old ones.
    """
    stage = min(stages, key=lambda name: seconds(stages[name]))
    outs = stages[stage]
    before = content(outs)
    print(f"{stage}: once more", flush=True)
    with tempfile.TemporaryDirectory(dir=".dvc/tmp") as folder:
        kept = {out: Path(folder) / str(number) for number, out in enumerate(outs)}
        for out, copy in kept.items():
            shutil.copytree(out, copy) if out.is_dir() else shutil.copy2(out, copy)
        dvc("repro", "--single-item", "--force", stage)
        after = content(outs)
        different = [name for name, value in after.items() if before.get(name) != value]
        if not different:
            for out, copy in kept.items():
                put_back(out, copy)
    if different:
        raise UserError(
            f"{different[0]} differs under the code of today, so it is more than a rename: "
            "`git checkout dvc.lock metrics && dvc checkout` brings the old outputs back, `dvc repro` makes new ones"
        )


def main() -> None:
    """Repeat a stage of every kind whose code alone changed; where all are equal, commit what lies in the workspace."""
    dvc("repro", "code")
    changed = kinds(changed_code_alone(json.loads(dvc("status", "--json"))))
    for stages in changed.values():
        repeat(stages)
    names = [name for stages in changed.values() for name in stages]
    if names:
        dvc("commit", "--force", *names)
    print(f"dvc.lock: {len(names)} stages at the code of today" if names else "dvc.lock is up to date")


if __name__ == "__main__":
    exit_readably(main)

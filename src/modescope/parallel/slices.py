"""A slice: one stage with all that it needs to run elsewhere, and the folder in which it runs.

The key of DVC's run cache is a stage's command, inputs, parameters and outputs: neither the rest of dvc.yaml nor
dvc.lock counts. So a dvc.yaml of this one stage, beside what it depends on, makes the run that the pipeline then finds.
"""

import compileall
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.serialize import to_pipeline_file, to_single_stage_lockfile

from modescope.errors import UserError
from modescope.runs.git import git

INPUTS = "_inputs"  # the stage of a slice whose outputs are the other stage's dependencies
LINKS = ["reflink", "hardlink", "copy"]  # a slice's folder is thrown away: no need for files of its own


class Variant(NamedTuple):
    """What sets a point of a sweep apart from the working tree; empty without a sweep.

    Attributes:
        name: of its experiment.
        files: contents of files of parameters, by path.
        environment: of its stages.
    """

    name: str = ""
    files: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}

    def names(self, stage: str) -> str:
        """The stage in this variant, as MLflow names its runs: `train (bold-try)`."""
        return f"{stage} ({self.name})" if self.name else stage


PLAIN = Variant()


class Slice(NamedTuple):
    """One stage, resolved: plain data, to be sent anywhere.

    Attributes:
        id: of its task.
        name: DVC's name of it.
        pipeline, lock: what dvc.yaml and dvc.lock of the folder say.
        config: DVC's configuration.
    """

    id: str
    name: str
    pipeline: str
    lock: str
    config: dict[str, Any]
    variant: Variant

    @property
    def folder(self) -> str:
        """A name for the folder in which it runs."""
        return re.sub(r"[^\w.@-]+", "-", self.id)


def cut(
    stage: PipelineStage,
    upstream: Iterable[PipelineStage] = (),
    remote: bool = False,
    variant: Variant = PLAIN,
) -> Slice:
    """The slice of a stage whose dependencies are in place and hashed; what DVC lacks of these goes into its cache, and
    to its default remote if `remote`.

    A file of a folder that one of `upstream` made comes with all of the folder: stages that depend on a run's weights
    read its run.json, too, which is no dependency since it holds times.
    """
    repo, made = stage.repo, [(out, each) for each in upstream for out in each.outs if out.use_cache]
    with repo.lock:
        deps = [dep for dep in stage.deps if dep.def_path and dep.is_in_repo and not _is_params(dep)]
        found = {dep: next((pair for pair in made if _lies_in(dep, pair[0])), (dep, stage)) for dep in deps}
        sources = {item.def_path: (item, owner) for item, owner in found.values()}
        inputs = _outermost([item for item, _ in sources.values()])
        for item in inputs:
            if item in deps:
                item.use_cache = True
                item.commit(relink=False)
            if remote:
                repo.cloud.push(objects([item]))
        for dep in deps:
            dep.use_cache = False
    entry = {
        key: value for key, value in to_pipeline_file(stage)[stage.name].items() if key in ("cmd", "wdir", "params")
    }
    entry["deps"] = [dep.def_path for dep in stage.deps if dep.def_path and not _is_params(dep)]
    entry["outs"] = [out.def_path for out in stage.outs]  # all of them cached: else DVC keeps no run of a report
    group, _, key = stage.name.partition("@")
    stages = {
        INPUTS: {"cmd": "true", "outs": [item.def_path for item in inputs]},
        group: {"foreach": [key], "do": entry} if key else entry,
    }
    locked = [_entry(item, sources[item.def_path][1]) for item in inputs]
    return Slice(
        variant.names(stage.addressing),
        stage.addressing,
        json.dumps({"stages": stages}).replace("${", r"\\${"),
        json.dumps({"schema": "2.0", "stages": {INPUTS: {"cmd": "true", "outs": locked}}}),
        {name: dict(section) for name, section in repo.config.items()},
        variant,
    )


def objects(outs: Iterable[Any]) -> set[Any]:
    """What DVC's cache has of these, folders with the files in them; their lists come from the remote if need be."""
    return {each for out in outs for used in out.get_used_objs().values() for each in used}


def _entry(item: Any, owner: PipelineStage) -> dict[str, Any]:
    """What dvc.lock says of a dependency or an output of `owner`."""
    said = to_single_stage_lockfile(owner)
    return next(each for part in ("deps", "outs") for each in said.get(part, []) if each["path"] == item.def_path)


def _lies_in(dep: Any, out: Any) -> bool:
    return dep.fs.isin(dep.fs_path, out.fs_path)


def _is_params(dep: Any) -> bool:
    return hasattr(dep, "params")


def _outermost(deps: list[Any]) -> list[Any]:
    """Without those that lie in another."""
    return [dep for dep in deps if not any(dep.fs.isin(dep.fs_path, other.fs_path) for other in deps)]


def take_snapshot(repo: Repo, folder: Path) -> None:
    """Copy what a clone of the working tree would hold, uncommitted changes included, without the pipeline's outputs.

    Compiled modules come along, lest every stage compile them.
    """
    root, outs = Path(repo.root_dir), {out.fs_path for out in repo.index.outs if out.is_in_repo}
    in_git = _in_git(repo)
    for name in _git_files(root) if in_git else _files(root):
        source, target = root / name, folder / name
        is_output = any(str(source) == out or str(source).startswith(f"{out}/") for out in outs)
        leads_to_one = source.is_symlink() and any(out.startswith(f"{source}/") for out in outs)
        if not is_output and not leads_to_one and (source.is_symlink() or source.is_file()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    if in_git:
        _git(root, "clone", "-q", "--no-checkout", "--depth", "1", root.as_uri(), folder / "clone")
        shutil.move(folder / "clone" / ".git", folder / ".git")
        (folder / "clone").rmdir()
        shutil.copy2(root / _git(root, "rev-parse", "--git-path", "index").strip(), folder / ".git" / "index")
    shutil.rmtree(folder / ".dvc", ignore_errors=True)
    for name in ("dvc.yaml", "dvc.lock"):
        (folder / name).unlink(missing_ok=True)
    compileall.compile_dir(folder / "src", quiet=2)


def _in_git(repo: Repo) -> bool:
    return Path(repo.root_dir, ".git").exists() and not repo.config["core"].get("no_scm")


def refuse_dirty_submodules(repo: Repo) -> None:
    """Raises UserError where a submodule has changes of its own, of which git keeps no record."""
    said = _git(Path(repo.root_dir), "status", "--porcelain=v2", "--ignore-submodules=none") if _in_git(repo) else ""
    for line in said.splitlines():
        words = line.split(" ", 8)
        if words[0] in "12" and words[2][0] == "S" and words[2][2:] != "..":
            raise UserError(f"the submodule {words[-1]} has changes of its own: commit them there, then run it again")


def _git_files(root: Path) -> Iterable[str]:
    tracked = _git(root, "ls-files", "-z", "--cached", "--recurse-submodules")
    others = _git(root, "ls-files", "-z", "--others", "--exclude-standard")
    return filter(None, dict.fromkeys((tracked + others).split("\0")))


def _files(root: Path) -> Iterable[str]:
    """Outside git: all but hidden ones and MLflow's."""
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name[0] != "." and name not in ("__pycache__", "mlartifacts")]
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in files if name[:9] != "mlflow.db")


def _git(root: Path, *arguments: Any) -> str:
    try:
        return git(root, *map(str, arguments))
    except subprocess.CalledProcessError as error:
        raise UserError(f"`{' '.join(error.cmd)}` failed: {error.stderr}") from None


def run(work: Slice, snapshot: Path, folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str]) -> dict:
    """Run a slice's stage in the new folder `folder`, and bring its outputs and its run into DVC's cache.

    Args:
        snapshot: of `take_snapshot`, on the same disk.
        settings: for DVC's `core` and `cache`, over the slice's; `remote: True` also fetches and pushes.
        environment: of the stage, over this process's.

    Returns:
        the stage's entry in dvc.lock.

    Raises:
        DvcException: the stage failed.
    """
    shutil.copytree(snapshot, folder, copy_function=os.link, symlinks=True)
    (folder / ".dvc").mkdir()
    (folder / "dvc.yaml").write_text(work.pipeline, encoding="utf-8")
    (folder / "dvc.lock").write_text(work.lock, encoding="utf-8")
    for name, text in work.variant.files.items():
        (folder / name).unlink()  # a link to the snapshot's
        (folder / name).write_text(text, encoding="utf-8")
    os.environ.update({**environment, **work.variant.environment})
    os.chdir(folder)
    core = {"no_scm": True, "site_cache_dir": str(folder.with_name(f"{folder.name}.state"))}
    config = work.config | {"core": {**work.config["core"], **core}}
    config["cache"] = {**config["cache"], "type": LINKS, **settings.get("cache", {})}
    repo = Repo(str(folder), config=config)
    inputs, stage = (repo.stage.load_one("dvc.yaml", name) for name in (INPUTS, work.name))
    with repo.lock:
        if settings.get("remote"):
            repo.cloud.pull(objects(inputs.outs))
        for out in inputs.outs:
            out.checkout(force=True)
        stage.reproduce(no_commit=True)
        for out in stage.outs:
            out.commit(relink=False)  # linking races with a worker that has just made the same file
        repo.stage_cache.save(stage)
        if settings.get("remote"):
            repo.cloud.push(objects(stage.outs))
            odb = repo.cloud.get_remote_odb(None, "push --run-cache", hash_name="md5-dos2unix")
            repo.stage_cache.transfer(repo.cache.legacy, odb, force=False)
    return json.loads(json.dumps(to_single_stage_lockfile(stage)))

"""The executor for a Ray cluster. Its nodes share the repository's disk, or go through DVC's default remote."""

import contextlib
import hashlib
import io
import os
import shutil
import socket
import sys
import tarfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import ray
from dvc.repo import Repo
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from modescope.errors import UserError
from modescope.parallel.executors import TRIES, Home, Outcome, attempt, last_line, read_tail, stage_environment
from modescope.parallel.machine import Machine, Needs
from modescope.parallel.slices import Slice
from modescope.runs.locks import lock

SCRATCH = "MODESCOPE_SCRATCH"  # where a node works that shares no disk; set, it shares none
PASSED_ON = ("MLFLOW_", "MODESCOPE_")  # variables of the driver that a stage has wherever it runs
SECONDS_TO_ANSWER, SECONDS_BETWEEN_LINES = 5, 5


class Ray:
    """Stages as tasks of Ray, each with its part of a node; Ray starts one again whose worker or node dies.

    Args:
        jobs: stages at a time, at most; None: whatever the cluster has room for.
        address: `ray` for the cluster that runs here, `ray://HOST:PORT` for one elsewhere.
    """

    def __init__(self, home: Home, jobs: int | None, repo: Repo, address: str):
        self.home, self.repo, self._refs, self._packed = home, repo, {}, None
        connect(address)
        (home.folder / "here").touch()
        answers = ask_nodes(str(home.folder / "here"))
        self.machines = [machine(resources) for resources, _ in answers]
        self.jobs = jobs or max(1, int(sum(each.cpus for each in self.machines)))
        self.remote = not all(sees for _, sees in answers)
        self._news = News.options(num_cpus=0).remote()

    def check(self, name: str, needs: Needs) -> None:
        if self.remote and not self.repo.config["core"].get("remote"):
            raise UserError(
                f"not every node of the cluster sees {self.home.root}, and DVC has no default remote for these: "
                "`dvc remote add -d NAME URL` gives it one"
            )
        lacks = [each.refusal(needs) for each in self.machines]
        if all(lacks):
            raise UserError(f"stage {name} needs {lacks[0]} on the largest node: change its `meta` in dvc.yaml")

    def fits(self, needs: Needs) -> bool:
        return len(self._refs) < self.jobs

    def start(self, work: Slice, needs: Needs) -> None:
        if self._packed is None:
            self._packed = ray.put(pack(self.home.snapshot))
        able = [each.within(needs) for each in self.machines if each.refusal(needs) is None]
        needs = max(able, key=lambda each: (each.gpus, each.cpus))
        options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "memory": int(needs.memory * 2**30) or None}
        task = run_on_node.options(**options, name=work.id, max_retries=TRIES - 1)
        given = {key: text for key, text in os.environ.items() if key.startswith(PASSED_ON) and key != SCRATCH}
        has_gpus = any(each.gpus for each in self.machines)
        ref = task.remote(work, self._packed, self.home, self.repo.cache.legacy.path, given, has_gpus, self._news)
        self._refs[ref] = work.id

    def finished(self, seconds: float) -> list[Outcome]:
        done, _ = ray.wait([*self._refs], timeout=seconds) if self._refs else ([], time.sleep(seconds))
        return [self._outcome(ref) for ref in done]

    def _outcome(self, ref: Any) -> Outcome:
        name = self._refs.pop(ref)
        try:
            return Outcome(*ray.get(ref))
        except ray.exceptions.RayError as error:
            return Outcome(name, f"Ray gave it up: {last_line(str(error)) or type(error).__name__}")

    def running(self) -> dict[str, tuple[str, str]]:
        try:
            news = ray.get(self._news.all.remote(), timeout=SECONDS_TO_ANSWER)
        except ray.exceptions.RayError:  # its node died: the table goes without
            news = {}
        return {name: news.get(name, ("", "")) for name in self._refs.values()}

    def stop(self, task: str) -> None:
        for ref in [ref for ref, each in self._refs.items() if each == task]:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(ref, force=True)  # the stage gets SIGTERM as its worker dies

    def close(self) -> None:
        for task in self._refs.values():
            self.stop(task)
        self._refs = {}
        ray.shutdown()


def connect(address: str, tries: int = TRIES) -> None:
    """Raises UserError if nothing answers there."""
    place = urlparse(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        if place.hostname:
            socket.create_connection((place.hostname, place.port), SECONDS_TO_ANSWER).close()
        with warnings.catch_warnings(action="ignore"):  # they say what the error says
            ray.init(address if place.hostname else "auto", log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, ConnectionAbortedError) and tries > 1:  # a node died just now, and the head stumbled
            time.sleep(1)
            return connect(address, tries - 1)
        how = "start one with `ray start --head`" if address == "ray" else "is it HOST:10001 of a head that runs?"
        raise UserError(f"--on {address}: no Ray cluster answers ({last_line(str(error))}): {how}") from None


def machine(resources: dict[str, float]) -> Machine:
    """What a node has."""
    gpus = {str(number): 1.0 for number in range(int(resources.get("GPU", 0)))}
    return Machine(resources["CPU"], resources.get("memory", 0) / 2**30, gpus)


@ray.remote(num_cpus=0)
def _sees(path: str) -> bool:
    """Whether the node shares the driver's disk."""
    return SCRATCH not in os.environ and Path(path).exists()


def ask_nodes(path: str) -> list[tuple[dict[str, float], bool]]:
    """Resources of every node that answers, and whether it shares the driver's disk. Raises UserError if none does."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    asked = [_sees.options(scheduling_strategy=place).remote(path) for place in places]
    answers = []
    for node, ref in zip(nodes, asked, strict=True):
        with contextlib.suppress(ray.exceptions.RayError):  # it died, which Ray finds out after half a minute
            answers.append((node["Resources"], ray.get(ref)))
    if not answers:
        raise UserError("no node of the Ray cluster answers: `ray status` shows which there are")
    return answers


@ray.remote
class News:
    """Where every stage runs, and the last line that it printed."""

    def __init__(self):
        self.known: dict[str, tuple[str, str]] = {}

    def tell(self, name: str, place: str, line: str) -> None:
        self.known[name] = (place, line)

    def all(self) -> dict[str, tuple[str, str]]:
        return self.known


def pack(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder, "snapshot")
    return buffer.getvalue()


@ray.remote
def run_on_node(work: Slice, packed: bytes, home: Home, cache: str, given: dict, has_gpus: bool, news: Any) -> tuple:
    """One slice, in a worker of Ray: an Outcome as plain data."""
    settings: dict[str, Any] = {"cache": {"dir": cache}}
    if SCRATCH in os.environ or not (home.folder / "here").exists():
        home = unpack(packed, home)
        settings = {"cache": {"dir": str(home.root / "cache")}, "remote": True}
    environment = stage_environment(home.root, ",".join(map(str, ray.get_gpu_ids())) if has_gpus else None)
    environment |= {**given, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    place = home.folder / f"{work.folder}-{os.getpid()}"
    log = place.with_name(f"{place.name}.log")
    with output_in(log), reports(news, work.id, log):
        outcome = attempt(work, home, place, settings, environment)
    return tuple(outcome._replace(tail=read_tail(log)))


def unpack(packed: bytes, home: Home) -> Home:
    """The driver's snapshot in a folder of this node's own, in place of earlier ones; checkpoints stay there."""
    name = hashlib.sha256(f"{home}".encode()).hexdigest()[:12]
    root = Path(os.environ.get(SCRATCH) or Path.home() / ".cache" / "modescope") / name
    folder = root / "parallel" / hashlib.sha256(packed).hexdigest()[:12]
    with lock(root / "lock"):
        if not folder.exists():
            shutil.rmtree(root / "parallel", ignore_errors=True)
            scratch = folder.with_name("unpacking")
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                tar.extractall(scratch, filter="fully_trusted")
            scratch.rename(folder)
    return Home(root, folder)


@contextlib.contextmanager
def output_in(log: Path):
    """All that this process and its children print goes into a file."""
    kept = [os.dup(number) for number in (1, 2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for number in (1, 2):
            os.dup2(file, number)
        yield
    finally:
        sys.stdout.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(file)


@contextlib.contextmanager
def reports(news: Any, name: str, log: Path):
    """Tell the driver every few seconds how the stage comes on."""
    over = threading.Event()

    def tell() -> None:
        while True:
            news.tell.remote(name, socket.gethostname(), last_line(read_tail(log)))
            if over.wait(SECONDS_BETWEEN_LINES):
                return

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

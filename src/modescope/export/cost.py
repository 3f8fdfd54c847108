"""What fewer bits cost: size, latency, and the judge's scores of images that every file draws from the same z."""

import json
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from modescope.config import load_params
from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.evaluation.consistency import class_consistency, confusion
from modescope.evaluation.extractors import Judge
from modescope.evaluation.features import extract_features
from modescope.evaluation.frechet import frechet_distance, rank_warnings
from modescope.evaluation.onnx import Drawing
from modescope.evaluation.reference import load_reference
from modescope.export.precision import BATCH_SIZE, batches
from modescope.report.tables import Column, Table, column, columns
from modescope.scoring.place import Place, find_place
from modescope.training.device import training_device

WARM_UP, REPEATS = 5, 30  # calls of which a latency is the median
SLOWEST = 5  # operations that are named
CAPTION = """Latency: the median of {repeats} calls of onnxruntime {version} on one core of its own ({machine}). bf16:
rounded weights that are computed with in float32, as onnxruntime's CPU has no bfloat16 convolution.""".replace(
    "\n", " "
)
COLUMNS = (
    column("row", title="numbers"),
    Column("megabytes", "MB", digits=3),
    Column("latency_1", "ms, one image", digits=3),
    Column(f"latency_{BATCH_SIZE}", f"ms, {BATCH_SIZE} images"),
    *columns("num_samples", "fid_classifier"),
    column("class_consistency", digits=2),
)


def cost_table(files: Mapping[str, Path], drawing: Drawing, info: Mapping[str, Any], count: int) -> Table:
    """A row for each of `files`, ONNX files of one `drawing` by their numbers, float32 first and int8 last.

    Args:
        info: the run's run.json.
        count: how many images each draws, with the seed of the evaluation. They are scored where the run's study has a
            judge and a reference here; a note says why not.
    """
    sessions = {name: open_session(file) for name, file in files.items()}
    rows = {name: {"row": name, "megabytes": file.stat().st_size / 1e6} for name, file in files.items()}
    for size in (1, BATCH_SIZE):
        given = next(batches(drawing.inputs(size, seed=0)))
        for name, taken in latencies(sessions, given).items():
            rows[name][f"latency_{size}"] = taken
    time_of = {name: slowest(files[name], given) for name in ("float32", "int8")}
    notes = []
    try:
        inputs, place = drawing.inputs(count, load_params().evaluation.seed), find_study(info)
        score, notes = scorer(place, count)
        for name, session in sessions.items():
            rows[name] |= {"num_samples": count} | score(draw(session, inputs), inputs.get("labels"))
    except UserError as reason:
        notes = [f"Not scored: {reason}."]
    shown = [each for each in COLUMNS if each.key in rows["int8"]]
    said = CAPTION.format(repeats=REPEATS, version=onnxruntime.__version__, machine=machine())
    spent = "; ".join(f"{name}: {operations}" for name, operations in time_of.items())
    notes = [verdict(rows["float32"], rows["int8"]), f"Where the time of {BATCH_SIZE} images goes: {spent}.", *notes]
    return Table("cost", "Cost", shown, [*rows.values()], said, notes=notes)


def open_session(file: Path, profile: str = "") -> onnxruntime.InferenceSession:
    """With one thread, on the CPU; where `profile` begins a file's name, what each operation takes is written there."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling, options.profile_file_prefix = bool(profile), profile
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def latencies(sessions: Mapping[str, onnxruntime.InferenceSession], given: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds of a call, in the median of calls in turn: of this thread, which does it all, so that other work
    does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(WARM_UP + REPEATS):
        for name, session in sessions.items():
            began = time.thread_time()
            session.run(None, given)
            taken[name].append(1000 * (time.thread_time() - began))
    return {name: median(each[WARM_UP:]) for name, each in taken.items()}


def slowest(file: Path, given: Mapping[str, Any]) -> str:
    """The operations in which a file's time goes, by onnxruntime's names."""
    with tempfile.TemporaryDirectory() as scratch:
        session = open_session(file, f"{scratch}/profile")
        for _ in range(REPEATS):
            session.run(None, given)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    taken: Counter[str] = Counter()
    for event in events:
        if event["name"].endswith("_kernel_time"):
            taken[event["args"]["op_name"]] += event["dur"]
    return ", ".join(f"{name} {part / taken.total():.0%}" for name, part in taken.most_common(SLOWEST))


def draw(session: onnxruntime.InferenceSession, inputs: Mapping[str, Tensor]) -> Tensor:
    """(N, C, H, W) uint8."""
    drawn = [torch.from_numpy(session.run(None, given)[0]) for given in batches(inputs)]
    return to_uint8(torch.cat(drawn), low=-1.0)


def find_study(info: Mapping[str, Any]) -> Place:
    """Where images of a run are measured. Raises UserError where what lies here is of other images."""
    study, data = info["study"], info["data"]
    place = find_place(study if study == "cgan" else f"imbalance/{data.get('split')}", load_params())
    there, wanted = ({name: each.get(name) for name in ("name", "split")} for each in (place.described(), data))
    if info["model"] == "stacked" or there != wanted:
        found = f"{there['name']}, split {there['split']}"
        raise UserError(f"{place.reference} holds {found}, and {info['run']} was trained on other images")
    return place


def scorer(place: Place, count: int) -> tuple[Callable[[Tensor, Tensor | None], dict[str, Any]], list[str]]:
    """What scores `count` images (N, C, H, W) uint8 and their labels (N,), if any, as the evaluation does; warnings.

    Raises UserError for a judge or a reference that is not there.
    """
    judge = Judge(place.judge, training_device())
    real = load_reference(place.reference, [judge]).features[judge.name].sums

    def score(images: Tensor, labels: Tensor | None) -> dict[str, Any]:
        seen = extract_features(images, judge)
        consistent = {} if labels is None else class_consistency(confusion(seen.logits, labels))
        return {"fid_classifier": frechet_distance(real, seen.features)} | consistent

    return score, rank_warnings("fid_classifier", real, count)


def verdict(whole: Mapping[str, Any], small: Mapping[str, Any]) -> str:
    """What int8 saves and costs against float32, in one line."""
    sizes = ("megabytes", "latency_1", f"latency_{BATCH_SIZE}")
    size, one, many = (whole[name] / small[name] for name in sizes)
    parts = [f"{size:.1f} x smaller, {one:.1f} x as fast for one image, {many:.1f} x for {BATCH_SIZE}"]
    if "fid_classifier" in small:
        parts.append(f"FID {small['fid_classifier'] / whole['fid_classifier'] - 1:+.1%}")
    if "class_consistency" in small:
        points = 100 * (small["class_consistency"] - whole["class_consistency"])
        parts.append(f"class consistency {points:+.2f} points")
    return f"int8 against float32: {', '.join(parts)}."


def machine() -> str:
    """The CPU's name, where the system tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

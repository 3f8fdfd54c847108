"""What a run is made of: its code, its data and its parameters, as one key."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modescope.errors import UserError
from modescope.files import root, sha256
from modescope.runs.code import TRAININGS, stage_code


def run_key(stage: str, params: Mapping[str, Any], data_digests: Mapping[str, str], code: str) -> str:
    """16 hex digits that name a run: equal for equal stage, parameters, data and code, on every machine."""
    parts = {"stage": stage, "params": params, "data": data_digests, "code": code}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def describe_run(
    module: str,
    study: str,
    run: str,
    model: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, Path],
    data: Mapping[str, Any],
    hardware: Mapping[str, Any],
) -> dict[str, Any]:
    """What run.json says of a run before it starts, its key first.

    Args:
        module: dotted name of the stage's module; it and what it imports are the run's code.
        study, run, model: experiment, name within it, and which sampler reads its weights.
        params: the parameters that the stage reads, nested.
        inputs: the files that it reads, by role.
        data: name, classes and split of its data.
        hardware: device and arithmetic in use; not part of the key.
    """
    digests = {role: sha256(path) for role, path in inputs.items()}
    code = stage_code(module, model)
    refuse_other_code(module, model, code)
    stage = module.rpartition(".")[2]
    return {
        "key": run_key(f"{stage}:{study}/{run}", params, digests, code),
        "study": study,
        "run": run,
        "stage": os.environ.get("DVC_STAGE", stage),
        "model": model,
        "params": params,
        "data": {**data, **_count(inputs), "digest": hashlib.sha256("".join(digests.values()).encode()).hexdigest()},
        "code": code,
        **hardware,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "torchmetrics", "pythae")},
        },
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def refuse_other_code(module: str, model: str, code: str) -> None:
    """Raises UserError in a stage of DVC's if its code is not that of data/code any more, which DVC records."""
    name = module.rpartition(".")[2] + (f"-{model}" if module in TRAININGS else "")
    recorded = Path("data/code") / f"{name}.txt"
    if "DVC_STAGE" in os.environ and recorded.exists() and recorded.read_text(encoding="utf-8").strip() != code:
        raise UserError(f"src/ is not what it was when stage `code` wrote {recorded}: run `dvc repro` again")


def _count(inputs: Mapping[str, Path]) -> dict[str, int]:
    """`images`: how many a split lists, where the run trains on one."""
    return (
        {"images": len(json.loads(inputs["split"].read_text(encoding="utf-8"))["indices"])} if "split" in inputs else {}
    )


def work_folder(info: Mapping[str, Any]) -> Path:
    """Where a run lives until it is finished: found by its key, by whichever process goes on with it."""
    return root() / ".ckpt" / info["key"]

"""What a stage needs of a machine, and what a machine has to give."""

import math
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import NamedTuple

import psutil
from dvc.exceptions import DvcException
from dvc.stage import PipelineStage
from dvc.utils.serialize import load_yaml

from modescope.errors import UserError
from modescope.files import PARAMS
from modescope.threads import cpu_quota


class Needs(NamedTuple):
    """What a stage needs of the machine that runs it: its `meta` in dvc.yaml.

    Attributes:
        cpus: cores; as many as `threads` of params.yaml where `meta` does not say.
        gpus: a whole number, or a part of one GPU: several stages share it, and without any GPU the CPU does.
        memory: GiB.
    """

    cpus: float = 1
    gpus: float = 0
    memory: float = 0

    @classmethod
    def of(cls, stage: PipelineStage, threads: float) -> "Needs":
        """Raises UserError for `meta` that is refused."""
        meta = getattr(stage, "meta", None) or {}
        said = {name: meta[name] for name in cls._fields if name in meta} if isinstance(meta, dict) else {}
        for name, value in said.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number or value < 0 or (name == "gpus" and value > 1 and value != int(value)):
                wanted = "a part of one GPU or a whole number of them" if name == "gpus" else "a number, 0 or more"
                raise UserError(f"dvc.yaml: {stage.addressing} needs meta.{name}={value!r}, which must be {wanted}")
        return cls(**{"cpus": threads, **said})


@dataclass
class Machine:
    """What of this machine is not given out: cores, GiB of memory, the free part of each GPU."""

    cpus: float
    memory: float
    gpus: dict[str, float] = field(default_factory=dict)

    @classmethod
    def here(cls) -> "Machine":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        ids = visible.split(",") if visible is not None else [str(number) for number in range(_count_gpus())]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(
            min(cores, cpu_quota()),
            psutil.virtual_memory().total / 2**30,
            {each: 1.0 for each in ids if each not in ("", "-1")},
        )

    def within(self, needs: Needs) -> Needs:
        """No more cores than there are, and the CPU in place of a part of a GPU that is not there."""
        gpus = needs.gpus if self.gpus or needs.gpus >= 1 else 0
        return needs._replace(cpus=min(needs.cpus, self.cpus), gpus=gpus)

    def refusal(self, needs: Needs) -> str | None:
        """What there is too little of, at best."""
        if needs.gpus >= 1 and needs.gpus > len(self.gpus):
            return f"{needs.gpus:g} GPUs, but there are {len(self.gpus)}"
        if needs.memory > self.memory:
            return f"{needs.memory:g} GiB of memory, but there are {self.memory:.1f}"
        return None

    def choose(self, needs: Needs) -> list[str] | None:
        """The GPUs for a stage that fits, the fullest that do; None for one that does not."""
        share, count = (1.0, int(needs.gpus)) if needs.gpus >= 1 else (needs.gpus, int(needs.gpus > 0))
        able = sorted((each for each, free in self.gpus.items() if free >= share - 1e-9), key=self.gpus.get)
        too_much = needs.cpus > self.cpus + 1e-9 or needs.memory > self.memory
        return None if too_much or len(able) < count else able[:count]

    def give(self, needs: Needs, gpus: list[str], sign: int = -1) -> None:
        """Take a stage's share away, or (`sign` 1) back."""
        self.cpus += sign * needs.cpus
        self.memory += sign * needs.memory
        for each in gpus:
            self.gpus[each] += sign * min(needs.gpus, 1)


def threads_of(folder: str) -> float:
    """What params.yaml in `folder` says of every stage's threads; 1 where it says nothing."""
    try:
        return float(load_yaml(os.path.join(folder, PARAMS)).get("threads", 1))
    except (OSError, AttributeError, TypeError, ValueError, DvcException):
        return 1


def _count_gpus() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, encoding="utf-8")
    return listed.stdout.count("\nGPU ") + listed.stdout.startswith("GPU ")

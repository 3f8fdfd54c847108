"""What live monitoring costs: the share of training time that goes into curves, gradient norms, pictures and MLflow.

python -m benchmarks.monitoring cgan-bce
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from modescope.config import load_params
from modescope.mlflow.filing import push
from modescope.runs.log import RunLog
from modescope.stages.trained_run import describe_training, load_training_data
from modescope.training import loop
from modescope.training.cgan import cgan_training
from modescope.training.checkpoints import Checkpoint
from modescope.training.device import training_device

spent: dict[str, float] = {}


def timed(owner, name: str) -> None:
    """Add up the time of every call of `owner.name`."""
    function = getattr(owner, name)

    def run(*arguments, **options):
        began = time.perf_counter()
        result = function(*arguments, **options)
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
        return result

    setattr(owner, name, run)


def main(row: str) -> None:
    params, device = load_params(), training_device()
    config = params.cgan.config(row)
    given = load_training_data(Path("data/grey"), Path("data/splits-grey/balanced.json"), device)
    info = describe_training("cgan", "monitoring", row, "cgan", config.model_dump(), params, given)
    training = cgan_training(config, given.images, given.labels, given.num_classes, params.seed)
    timed(training.objective, "preview")
    timed(loop, "gradient_norm")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"  # the study's store gets no such run
        with RunLog(info, Path(folder) / "run", push) as log:
            timed(log, "log")  # curves and, now and then, MLflow
            timed(log, "image")
            timing = loop.train(training, log=log, checkpoint=Checkpoint(log.folder), precision=info["precision"])
            log.finish(Path(folder) / "out")
    parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
    share = sum(spent.values()) / timing.seconds
    print(f"{row}: {timing.steps} steps in {timing.seconds:.1f} s, of which {parts}: {share:.2%}")


if __name__ == "__main__":
    main(sys.argv[1])

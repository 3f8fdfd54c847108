"""Stage `stacked_real`: the modes that stacked real test digits cover: the floor, which no generator can beat."""

import time
from pathlib import Path

from modescope.config import load_params
from modescope.data.prepared import load_prepared
from modescope.data.stacked import stack_digits
from modescope.evaluation.coverage import stacked_coverage
from modescope.evaluation.extractors import Judge
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.pictures import grid
from modescope.process import run_stage
from modescope.runs.folder import WEIGHTS_FILE
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.training.device import training_device
from modescope.training.objective import PREVIEW_COUNT


def main(data: Path, judge: Path, out: Path, metrics: Path) -> None:
    """Stack test digits of DATA, count their modes as JUDGE sees them, write the run's folder OUT and METRICS."""
    params, device, began = load_params(), training_device(), time.perf_counter()
    test, settings = load_prepared(data / "test.safetensors"), params.stacked
    info = describe_run(
        module="modescope.stages.stacked_real",
        study="cgan",
        run=metrics.stem,
        model="real",
        params={
            **params.subset("threads"),
            "num_samples": settings.num_samples,
            "enough": settings.enough,
            "seed": params.evaluation.seed,
        },
        inputs={"test": data / "test.safetensors", "judge": judge / WEIGHTS_FILE},
        data={"name": test.name, "classes": list(test.classes), "split": "test"},
        hardware={"device": device.type, "precision": "fp32"},
    )
    with RunLog(info, work_folder(info), push) as log:
        classes, seed = len(test.classes), params.evaluation.seed
        images, _ = stack_digits(test.images, test.labels, settings.num_samples, seed, classes)
        log.image("samples", grid(images[:PREVIEW_COUNT]), step=0)
        measured = stacked_coverage(images, Judge(judge, device), settings.enough, classes)
        log.finish(out, seconds=time.perf_counter() - began)
    write_json(metrics, measured)
    push(out, measured)


if __name__ == "__main__":
    run_stage(main)

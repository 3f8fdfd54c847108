"""Stage `coverage`: count the modes of stacked digits among a run's samples."""

from pathlib import Path

from modescope.config import load_params
from modescope.evaluation.coverage import stacked_coverage
from modescope.evaluation.extractors import Judge
from modescope.evaluation.loaders import load_sampler
from modescope.files import read_json, write_json
from modescope.mlflow.filing import push
from modescope.process import run_stage
from modescope.runs.folder import RUN_FILE
from modescope.training.device import training_device


def main(run: Path, judge: Path, metrics: Path) -> None:
    """Count the modes among RUN's samples as JUDGE sees them, write METRICS and complete the run's record."""
    params, device, info = load_params(), training_device(), read_json(run / RUN_FILE)
    drawn = load_sampler(run, device).sample(params.stacked.num_samples, params.evaluation.seed)
    measured = stacked_coverage(drawn.images, Judge(judge, device), params.stacked.enough, len(info["data"]["classes"]))
    measured |= {name: info[name] for name in ("seconds", "steps_per_second")}
    write_json(metrics, measured)
    push(run, measured)


if __name__ == "__main__":
    run_stage(main)

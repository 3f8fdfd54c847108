"""Stage `inside`: look inside a trained run: what its samples miss, where they fail, what they copy."""

from pathlib import Path

from modescope.config import load_params
from modescope.data.prepared import load_prepared
from modescope.data.splits import Split
from modescope.evaluation.extractors import Judge
from modescope.evaluation.inside import look_inside
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.real_images import FEATURES, RealImages
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.process import run_stage
from modescope.runs.folder import WEIGHTS_FILE, read_run
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.training.device import training_device


def main(run: Path, data: Path, splits: Path, judge: Path, features: Path, out: Path, metrics: Path) -> None:
    """Hold the samples of RUN against the images of DATA that SPLITS say it was trained on, as JUDGE sees them.

    FEATURES is of the stage `features`; pictures become the run's folder OUT, numbers METRICS (STUDY/inside-RUN.json).
    """
    params, device = load_params(), training_device()
    files = {name: data / f"{name}.safetensors" for name in ("train", "test")}
    train, test = (load_prepared(file) for file in files.values())
    files["split"] = splits / f"{read_run(run)['data']['split']}.json"
    split = Split.load(files["split"])
    files |= {"judge": judge / WEIGHTS_FILE, "generator": run / WEIGHTS_FILE, "features": features / FEATURES}
    info = describe_run(
        module="modescope.stages.inside",
        study=metrics.parent.name,
        run=metrics.stem,
        model="inside",
        params=params.subset("threads", "evaluation", "inside.clusters", "inside.paths"),
        inputs=files,
        data={"name": train.name, "classes": list(train.classes), "split": split.name},
        hardware={"device": device.type, "precision": "fp32"},
    )
    real = RealImages.load(features, train, test, split, params.evaluation)
    with RunLog(info, work_folder(info), push) as log:
        sampler, network = load_sampler(run, device), Judge(judge, device)
        look = look_inside(sampler, real, network, params.evaluation, params.inside.paths)
        for kind, picture in look.pictures.items():
            log.image(kind, picture, step=0)
        log.finish(out)
    write_json(metrics, look.metrics)
    push(out, look.metrics)


if __name__ == "__main__":
    run_stage(main)

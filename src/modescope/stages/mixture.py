"""Stage `mixture`: fit a Gaussian mixture to a trained VAE's codes, so that it can be sampled from there (study 1)."""

import time
from pathlib import Path

import torch

from modescope.config import load_params, merge
from modescope.data.batches import to_unit
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.vae_samplers import VaeSampler, fit_mixture, mixture_weights
from modescope.files import read_json
from modescope.mlflow.filing import push
from modescope.models.weights import load_weights, save_weights
from modescope.pictures import grid
from modescope.process import run_stage
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE
from modescope.runs.key import describe_run, work_folder
from modescope.runs.log import RunLog
from modescope.stages.trained_run import load_training_data
from modescope.training.objective import PREVIEW_COUNT


def main(vae: Path, data: Path, split: Path, out: Path) -> None:
    """Fit the mixture to the codes that the run VAE gives SPLIT's images of DATA; write the run's folder OUT."""
    params, began = load_params(), time.perf_counter()
    given = load_training_data(data, split, torch.device("cpu"))
    trained, weights = read_json(vae / RUN_FILE), vae / WEIGHTS_FILE
    info = describe_run(
        module="modescope.stages.mixture",
        study="imbalance",
        run=f"vae-gmm-{given.split}",
        model="vae-gmm",
        params=merge(
            params.subset("seed", "threads", "imbalance.mixture"),
            {"imbalance": {"vae": trained["params"]["imbalance"]["vae"]}},
        ),
        inputs={**given.files, "vae": weights},
        data=given.described,
        hardware={"device": "cpu", "precision": "fp32"},
    )
    components = params.imbalance.mixture.components
    if components > len(given.images):
        raise UserError(
            f"imbalance.mixture.components is {components}, {split} has {len(given.images)} images: lower it"
        )
    with RunLog(info, work_folder(info), push) as log:
        images = to_unit(given.images)
        fitted = fit_mixture(load_sampler(vae).sampler.model, images, components, params.seed)
        log.image("samples", grid(VaeSampler(fitted).sample(PREVIEW_COUNT, seed=0).images), step=0)
        save_weights({**load_weights(weights), **mixture_weights(fitted)}, log.folder)
        log.finish(out, seconds=time.perf_counter() - began)


if __name__ == "__main__":
    run_stage(main)

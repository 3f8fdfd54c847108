"""Promoting a run: a model that anybody can load from MLflow's registry, under the study's name and an alias."""

import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import mlflow.onnx
import mlflow.pyfunc
import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

import modescope
from modescope.config.studies import STUDIES
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.evaluation.onnx import ONNX_FILE, drawing_of, write_onnx
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.files import as_written
from modescope.mlflow.filing import read_metrics
from modescope.mlflow.record import read_record
from modescope.mlflow.sending import send
from modescope.mlflow.store import MARK, SCORES, Store, names_of, opened, study_of
from modescope.process import missing_package
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE, read_run

LOADER = "modescope.mlflow.loader"
FILES = (RUN_FILE, WEIGHTS_FILE)  # of a run's folder: what its sampler reads
NEEDS = ("mlflow", "numpy", "pydantic", "ruamel.yaml", "safetensors", "torch", "torchvision")
NEEDS_OF_A_VAE = ("pythae", "scikit-learn")
USAGE = """Each row of the table is an order: `n` images with a `seed`, of a class `label` where the run has labels.
```python
model = mlflow.pyfunc.load_model("models:/NAME@best")
images = model.predict(pandas.DataFrame({"n": [8], "seed": [7]}))  # (8, C, H, W) uint8
```
A GAN is an ONNX model, too, from noise `z` (and `labels`): `mlflow.onnx.load_model("models:/NAME@best")`."""


class Promoted(NamedTuple):
    """A version of a registered model.

    `is_new` is false where the run had been promoted before; `no_onnx` says why a new one has no ONNX flavour, if so.
    """

    model: str
    version: str
    is_new: bool
    link: str
    no_onnx: str = ""


def promote(folder: Path, alias: str) -> Promoted:
    """Register the model of a run's folder, unless that is done, and let `alias` point to it.

    The registered model is named after the study; its versions carry the run, its key and its weights' sha256.

    Raises:
        UserError: the run cannot be sampled, the alias is refused, or the store cannot be used.
    """
    info = read_run(folder)
    with as_written(folder / RUN_FILE):
        tags = {fact: info[fact] for fact in ("run", "key", "weights_sha256")}
    check_alias(alias)
    with opened("modescope promote") as store:
        name = _name_of_model(store, info["study"])
        number, no_onnx = _find_version(store, name, tags), ""
        is_new = number is None
        if number is None:
            run, model, no_onnx = _log_generator(store, folder, info)
            number = _register(store, name, info, model, run, tags)
        store.client.set_registered_model_alias(name, alias, number)
    return Promoted(name, number, is_new, store.page(f"models/{name}/versions/{number}"), no_onnx)


def check_alias(alias: str) -> None:
    """Raises UserError for an alias that MLflow would refuse once the model is registered."""
    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        rule = "letters, digits, `_` and `-`, neither `latest` nor a version such as `v1`"
        raise UserError(f"alias `{alias}` is refused ({rule}): name it best, say")


def _name_of_model(store: Store, study: str) -> str:
    """What the study's registered model is called, or shall be. Raises UserError if other projects have its names."""
    for name in names_of(study):
        found = store.client.search_registered_models(f"name = '{name}'")
        if not found or study_of(found[0]) == study:
            return name
    raise UserError(f"the registered models {' and '.join(names_of(study))} are another project's: rename one of them")


def _find_version(store: Store, name: str, tags: Mapping[str, str]) -> str | None:
    """The number of the registered model's version that has these tags."""
    found = store.client.search_model_versions(f"name = '{name}'")
    return next((str(each.version) for each in found if tags.items() <= each.tags.items()), None)


def _log_generator(store: Store, folder: Path, info: Mapping[str, Any]) -> tuple[Run, LoggedModel, str]:
    """The run, filed if need be, and a model that is logged to it: what its sampler reads, the package, and ONNX.

    The last is why there is no ONNX, if so.
    """
    sampler = load_sampler(folder)
    run, _ = send(store, read_record(folder, read_metrics(Path(), info)), "restored")
    number, client = run.info.run_id, store.client
    model = client.create_logged_model(run.info.experiment_id, "generator", number, None, run.data.params, "generator")
    client.log_outputs(number, [LoggedModelOutput(model.model_id, step=0)])
    with tempfile.TemporaryDirectory() as scratch:
        data, onnx = Path(scratch) / "generator", Path(scratch) / ONNX_FILE
        data.mkdir()
        for file in FILES:
            shutil.copy(folder / file, data)
        no_onnx = _write_onnx(onnx, sampler, info)
        meta = Model(model.artifact_location, number, model_uuid=model.model_id, model_id=model.model_id)
        if not no_onnx:
            meta.add_flavor(mlflow.onnx.FLAVOR_NAME, onnx_version=version("onnx"), data=ONNX_FILE)
        _save_model(Path(scratch) / "model", data, sampler, requirements(info), meta)
        if not no_onnx:
            shutil.move(onnx, Path(scratch) / "model")
        client.log_model_artifacts(model.model_id, str(Path(scratch) / "model"))
    client.finalize_logged_model(model.model_id, "READY")
    return run, model, no_onnx


def _write_onnx(path: Path, sampler: Sampler, info: Mapping[str, Any]) -> str:
    """Write the sampler's generator as ONNX; return why it cannot be, if so."""
    if not isinstance(sampler, GeneratorSampler):
        return f"{info['run']} is a VAE, which ONNX files are not made of"
    try:
        write_onnx(drawing_of(sampler, info["run"]), path, info)
    except ModuleNotFoundError as error:
        said = missing_package(error)
        if said is None:
            raise
        return said
    return ""


def _save_model(path: Path, data: Path, sampler: Sampler, needs: list[str], meta: Model) -> None:
    """Write `path` in MLflow's format: the folder `data`, and the package whose `LOADER` makes a generator of it."""
    label, seed = (ColSpec("long", name, required=False) for name in ("label", "seed"))
    images = TensorSpec(np.dtype(np.uint8), (-1, *sampler.sample(1, seed=0).images.shape[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would like an example of the input
        mlflow.pyfunc.save_model(
            str(path),
            loader_module=LOADER,
            data_path=str(data),
            code_paths=[str(Path(modescope.__file__).parent)],
            pip_requirements=needs,
            signature=ModelSignature(Schema([ColSpec("long", "n"), label, seed]), Schema([images])),
            mlflow_model=meta,
        )
    for cache in list(path.rglob("__pycache__")):
        shutil.rmtree(cache)


def _register(
    store: Store, name: str, info: Mapping[str, Any], model: LoggedModel, run: Run, tags: Mapping[str, str]
) -> str:
    """The number of a new version of the registered model, which is created if need be; it says the run's scores."""
    client, number = store.client, model.model_id
    with store.exclusive():
        if not client.search_registered_models(f"name = '{name}'"):
            study = info["study"]
            described = f"{STUDIES.get(study, study)}\n\n{USAGE.replace('NAME', name)}"
            with suppress(MlflowException):  # another process was faster
                client.create_registered_model(name, {MARK: study}, described)
    made = client.create_model_version(
        name, f"models:/{number}", run.info.run_id, dict(tags), description=_description(info), model_id=number
    )
    return str(made.version)


def _description(info: Mapping[str, Any]) -> str:
    """`cgan-ours: judge's FID 0.854, class consistency 0.991`: the run and those of its scores that come first."""
    metrics = read_metrics(Path(), info) or {}
    scores = ", ".join(f"{title} {metrics[name]:.3g}" for name, title in SCORES.items() if name in metrics)
    return f"{info['run']}: {scores or 'not measured'}"


def requirements(info: Mapping[str, Any]) -> list[str]:
    """What loading the model needs, at the versions in use."""
    names = NEEDS + (NEEDS_OF_A_VAE if info["model"].startswith("vae") else ())
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]

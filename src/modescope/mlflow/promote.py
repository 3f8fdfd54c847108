"""Promoting a run: a model that anybody can load from MLflow's registry, under the study's name and an alias."""

import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import modescope
from modescope.errors import UserError
from modescope.evaluation.samplers import load_sampler
from modescope.files import read_json, root
from modescope.mlflow.record import read_record
from modescope.mlflow.run_page import STUDIES
from modescope.mlflow.store import (
    FAULTS,
    TRAINING,
    Run,
    Store,
    check_alias,
    open_store,
    store_uri,
    unreachable,
)
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE, WORK_FOLDERS
from modescope.runs.locks import lock

LOADER = "modescope.mlflow.loader"
FILES = (RUN_FILE, WEIGHTS_FILE)  # of a run's folder: what its sampler reads
NEEDS = ("mlflow", "numpy", "pydantic", "ruamel.yaml", "safetensors", "torch", "torchvision")
NEEDS_OF_A_VAE = ("pythae", "scikit-learn")
USAGE = """Each row of the table is an order: `n` images with a `seed`, of a class `label` where the run has labels.
```python
model = mlflow.pyfunc.load_model("models:/NAME@best")
images = model.predict(pandas.DataFrame({"n": [8], "seed": [7]}))  # (8, C, H, W) uint8
```"""


class Promoted(NamedTuple):
    """A version of a registered model. `is_new` is false where the run had been promoted before."""

    model: str
    version: str
    is_new: bool
    link: str


def promote(folder: Path, alias: str) -> Promoted:
    """Register the model of a run's folder, unless that is done, and let `alias` point to it.

    The registered model is named after the study; its versions carry the run, its key and its weights' sha256.

    Raises:
        UserError: the run cannot be sampled, the alias is refused, or the store cannot be used.
    """
    info = read_json(folder / RUN_FILE)
    name, tags = info["study"], {fact: info[fact] for fact in ("run", "key", "weights_sha256")}
    check_alias(alias)
    try:
        store = open_store()
        number = _find_version(store, name, tags)
        is_new = number is None
        if number is None:
            run, model = _log_model(store, folder, info)
            number = _register(store, name, model, run, tags)
        store.client.set_registered_model_alias(name, alias, number)
    except FAULTS as error:
        raise unreachable(store_uri(), error, "modescope promote") from error
    return Promoted(name, number, is_new, f"{store.address()}/#/models/{name}/versions/{number}?{TRAINING}")


def _find_version(store: Store, name: str, tags: Mapping[str, str]) -> str | None:
    """The number of the registered model's version that has these tags."""
    found = store.client.search_model_versions(f"name = '{name}'")
    return next((str(each.version) for each in found if tags.items() <= each.tags.items()), None)


def _log_model(store: Store, folder: Path, info: Mapping[str, Any]) -> tuple[Run, str]:
    """The run, filed if need be, and the id of the model that is logged to it."""
    image_shape = load_sampler(folder).sample(1, seed=0).images.shape[1:]
    metrics = Path("metrics") / info["study"] / f"{info['run']}.json"
    run, _ = store.send(read_record(folder, read_json(metrics) if metrics.exists() else None), "restored")
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "generator"
        data.mkdir()
        for file in FILES:
            shutil.copy(folder / file, data)
        model = store.log_generator(
            run, data, tuple(image_shape), LOADER, Path(modescope.__file__).parent, requirements(info)
        )
    return run, model


def _register(store: Store, name: str, model: str, run: Run, tags: Mapping[str, str]) -> str:
    """The number of a new version of the registered model, which is created if need be."""
    with lock(store.lock_file):
        if not store.client.search_registered_models(f"name = '{name}'"):
            store.client.create_registered_model(
                name, description=f"{STUDIES.get(name, name)}\n\n{USAGE.replace('NAME', name)}"
            )
    made = store.client.create_model_version(
        name, f"models:/{model}", run.info.run_id, dict(tags), description=run.info.run_name, model_id=model
    )
    return str(made.version)


def requirements(info: Mapping[str, Any]) -> list[str]:
    """What loading the model needs, at the versions in use."""
    names = NEEDS + (NEEDS_OF_A_VAE if info["model"].startswith("vae") else ())
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]


def refuse_unfinished(run: str) -> None:
    """Raises UserError if a run of that name is being trained, or was, and none is finished."""
    if list(Path("models").glob(f"*/{run}/{RUN_FILE}")):
        return
    infos = [read_json(file) for file in sorted((root() / WORK_FOLDERS).glob(f"*/{RUN_FILE}"))]
    status = next((info["status"] for info in infos if info["run"] == run), None)
    if status is not None:
        raise UserError(f"run {run} is {status}, not finished: `dvc repro` finishes it")

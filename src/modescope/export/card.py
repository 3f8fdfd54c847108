"""A model card: what stands in README.md beside an exported model. It follows from the run's files alone."""

from collections.abc import Mapping
from typing import Any

from modescope.dotted import dotted
from modescope.report.brief import FLOOR, brief, measured
from modescope.report.tables import to_markdown
from modescope.runs.folder import WEIGHTS_FILE

LICENCE = """MIT, as Modescope's. The images that it was trained on ({data}) have their owners' terms, which this does
not change."""
ONNX = """```python
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{file}")
z = numpy.random.default_rng(7).standard_normal((8, {latent_dim}), dtype=numpy.float32)
images = session.run(None, {{"z": z{labels}}})[0]  # (8, {channels}, {height}, {width}) float32 in [-1, 1]
pixels = ((images + 1) * 127.5).round().clip(0, 255).astype("uint8")
```
Any number of images at a time. z is normal noise{said}."""
WEIGHTS = """```python
from pathlib import Path
from modescope.evaluation.loaders import load_sampler
sampler = load_sampler(Path("."))  # this folder
images = sampler.sample(8, seed=7).images  # (8, {channels}, {height}, {width}) uint8
```
It needs the package `modescope`. The same seed always draws the same images{said}."""
LABELLED = "; `labels` are classes from 0 to {last}: {classes}"


def model_card(info: Mapping[str, Any], loading: str, notes: str = "") -> str:
    """Data, budget, scores beside real images', licence, and how to load it.

    Args:
        info: content of the run's run.json.
        loading: of `onnx_loading` or `weights_loading`.
        notes: what else is to be said of the file.
    """
    study, run, data = info["study"], info["run"], info["data"]
    facts = {
        "data": f"{data['name']}, split {data.get('split', '-')}, {data.get('images', 0):,} images",
        "classes": ", ".join(data["classes"]),
        "budget": _budget(info),
        "weights": _weights(info),
        "run": f"{run}, key {info['key']}, {_origin(info)}",
    }
    rows = measured(study, {run: run}) | measured(*_floor(info))
    scores = to_markdown(brief("Scores", rows, CAPTION)) if run in rows else "Not measured: `dvc repro` does.\n"
    table = "".join(f"| {name} | {text} |\n" for name, text in facts.items())
    title = f"# {run}\n\nA generator of {data['name']} images, of Modescope's study `{study}`.\n"
    licence = LICENCE.format(data=data["name"])
    parts = [
        title,
        f"| | |\n| :-- | :-- |\n{table}",
        scores,
        notes,
        f"## Use\n\n{loading}\n",
        f"## Licence\n\n{licence}",
    ]
    return "\n".join(filter(None, parts)) + "\n"


CAPTION = """By the pipeline's own judge, a classifier that no generator knew; the floor is real test images, measured
alike, which no generator should beat.""".replace("\n", " ")


def onnx_loading(info: Mapping[str, Any], file: str, latent_dim: int, num_classes: int | None, shape: tuple) -> str:
    """Five lines that draw images from the ONNX file; `shape` is an image's (C, H, W)."""
    labels = "" if num_classes is None else f', "labels": numpy.arange(8) % {num_classes}'
    return ONNX.format(
        file=file, latent_dim=latent_dim, labels=labels, said=_labelled(info, num_classes), **_sides(shape)
    )


def weights_loading(info: Mapping[str, Any], num_classes: int | None, shape: tuple) -> str:
    """Four lines that draw images from the folder."""
    return WEIGHTS.format(said=_labelled(info, num_classes), **_sides(shape))


def _sides(shape: tuple) -> dict[str, int]:
    return dict(zip(("channels", "height", "width"), shape, strict=True))


def _labelled(info: Mapping[str, Any], num_classes: int | None) -> str:
    if num_classes is None:
        return ""
    return LABELLED.format(last=num_classes - 1, classes=", ".join(info["data"]["classes"][:num_classes]))


def _budget(info: Mapping[str, Any]) -> str:
    known = {"steps": "{:,} steps", "seconds": "{:,.0f} seconds"}
    parts = [text.format(info[name]) for name, text in known.items() if name in info]
    return f"{', '.join(parts)} on {info.get('device', '-')} ({info.get('precision', '-')})"


def _weights(info: Mapping[str, Any]) -> str:
    decays = [value for name, value in dotted(info["params"]).items() if name.endswith("ema_decay") and value]
    averaged = f"averaged over the training (decay {decays[0]}), " if decays else ""
    return f"{averaged}of the run's {WEIGHTS_FILE}, sha256 {info.get('weights_sha256', 'unknown')}"


def _origin(info: Mapping[str, Any]) -> str:
    origin = info.get("origin", {})
    profile, commit = origin.get("profile", "unknown"), origin.get("git.commit", "unknown")
    return f"profile {profile}, commit {commit[:12]}"


def _floor(info: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The study and the run of the real images that a run is measured beside."""
    if info["study"] == "cgan":
        return "cgan", {FLOOR: "stacked-real" if info["model"] == "stacked" else "real-digits"}
    return "imbalance", {FLOOR: f"real-{info['data'].get('split')}"}

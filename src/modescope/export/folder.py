"""A trained run as a folder for others: one file of the model, and its card."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modescope.errors import UserError
from modescope.evaluation.loaders import VAES, load_sampler
from modescope.evaluation.onnx import ONNX_FILE, Drawing, drawing_of, write_onnx
from modescope.evaluation.samplers import Sampler
from modescope.export.card import model_card, onnx_loading, weights_loading
from modescope.files import atomic_path, sha256, write_json
from modescope.models.weights import load_weights, save_weights
from modescope.report.tables import to_markdown
from modescope.runs.folder import RUN_FILE, WEIGHTS_FILE, read_run

CARD = "README.md"
GENERATOR, PRIOR = "generator.", "prior."  # of a GAN's weights: what its sampler reads
COMPARED = 256  # images by which weights are compared


def export_onnx(run: Path, out: Path, int8: bool = False, measured: int | None = None) -> Path:
    """Write the generator of the folder `run` to the folder `out` as ONNX, and its card; return the model's file.

    Args:
        int8: with int8 layers.
        measured: how many images float32, bfloat16 and int8 draw for a table of their cost in the card; None for none.

    Raises:
        UserError: a run without a generator, or an `out` that is not to be replaced.
    """
    info, sampler = read_run(run), load_sampler(run)
    drawing = drawing_of(sampler, info["run"])
    loading = onnx_loading(info, ONNX_FILE, drawing.latent_dim, drawing.num_classes, image_shape(sampler))
    with atomic_path(out) as folder, tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch, f"{name}.onnx") for name in ("float32", "bf16", "int8")}
        write_onnx(drawing, files["float32"], info)
        notes = _write_smaller(files, drawing, info, int8, measured) if int8 or measured else ""
        folder.mkdir()
        shutil.copy(files["int8" if int8 else "float32"], folder / ONNX_FILE)
        (folder / CARD).write_text(model_card(info, loading, notes), encoding="utf-8")
    return out / ONNX_FILE


def _write_smaller(
    files: Mapping[str, Path], drawing: Drawing, info: Mapping[str, Any], int8: bool, measured: int | None
) -> str:
    """Write what is asked for beside `files["float32"]`; return what the card says of it."""
    from modescope.export.precision import INT8, write_bf16, write_int8  # onnx and onnxruntime come with an extra

    write_int8(files["float32"], files["int8"], drawing)
    said = [INT8] if int8 else []
    if measured is not None:
        from modescope.export.cost import cost_table

        write_bf16(files["float32"], files["bf16"])
        said.append(to_markdown(cost_table(files, drawing, info, measured)))
    return "\n".join(said)


def export_weights(run: Path, out: Path, half: bool = False) -> Path:
    """Write what the sampler of the folder `run` needs to the folder `out`: a run's folder itself, and its card.

    Args:
        half: matrices and kernels as float16; the card says what that does to the pixels.
    """
    info, whole = read_run(run), load_sampler(run)
    tensors = needed_weights(load_weights(run / WEIGHTS_FILE), info["model"], half)
    with atomic_path(out) as folder:
        folder.mkdir()
        save_weights(tensors, folder)
        write_json(folder / RUN_FILE, exported_record(info, sha256(folder / WEIGHTS_FILE)))
        notes = half_note(whole, load_sampler(folder)) if half else ""
        loading = weights_loading(info, whole.num_classes, image_shape(whole))
        (folder / CARD).write_text(model_card(info, loading, notes), encoding="utf-8")
    return out / WEIGHTS_FILE


def exported_record(info: Mapping[str, Any], weights_sha256: str) -> dict[str, Any]:
    """run.json of an exported run: with the digests of its weights and of the trained ones, without who trained it."""
    origin = {name: value for name, value in info.get("origin", {}).items() if name != "user"}
    trained = info.get("trained_sha256", info.get("weights_sha256"))
    return {**info, "origin": origin, "trained_sha256": trained, "weights_sha256": weights_sha256}


def needed_weights(tensors: Mapping[str, Tensor], model: str, half: bool) -> dict[str, Tensor]:
    """Those that a sampler reads: no discriminator's. A VAE's are all needed, to build it."""
    kept = {name: value for name, value in tensors.items() if model in VAES or name.startswith((GENERATOR, PRIOR))}
    return {name: value.half() if half and _is_large(name, value) else value for name, value in kept.items()}


def _is_large(name: str, tensor: Tensor) -> bool:
    """Whether it is a generator's matrix or kernel: vectors hardly count, and BatchNorm's need their range."""
    return name.startswith(GENERATOR) and tensor.is_floating_point() and tensor.ndim > 1


def half_note(whole: Sampler, halved: Sampler) -> str:
    """What float16 costs, in levels of 255, over images of both with the same z."""
    one, other = (sampler.sample(COMPARED, seed=0).images.int() for sampler in (whole, halved))
    apart = (one - other).abs().double()
    changed = torch.count_nonzero(apart) / apart.numel()
    return (
        f"Weights are float16: of {COMPARED} images {changed:.2%} of the pixels differ from float32's, "
        f"by {apart.max():.0f} of 255 levels at most.\n"
    )


def image_shape(sampler: Sampler) -> tuple[int, ...]:
    """(C, H, W)."""
    return tuple(sampler.sample(1, seed=0).images.shape[1:])


def export(run: Path, to: str, out: Path, int8: bool = False, measured: int | None = None) -> Path:
    """Export to `onnx` or `safetensors`; `int8` and `measured` are of `export_onnx`.

    Raises UserError for another format, or one that has no int8.
    """
    if to == "onnx":
        return export_onnx(run, out, int8, measured)
    if to != "safetensors":
        raise UserError(f"--to {to} is unknown: there are onnx, safetensors")
    if int8 or measured is not None:
        raise UserError("--int8 and --measure are of ONNX files: take --to onnx, or leave them out")
    return export_weights(run, out)

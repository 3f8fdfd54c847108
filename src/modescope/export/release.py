"""The best generators, kept in git: what `modescope sample` falls back on in a clone that has trained nothing."""

from pathlib import Path

from safetensors.torch import save

from modescope.errors import UserError
from modescope.export.folder import export_weights, needed_weights
from modescope.models.weights import load_weights
from modescope.runs.folder import WEIGHTS_FILE, read_run
from modescope.runs.listing import RELEASED

LARGEST, TOGETHER = 2_000_000, 8_000_000  # bytes of one file of weights, and of all


def release(run: Path) -> Path:
    """Write the generator of the folder `run` to released/STUDY/RUN, as float16 where float32 is too large.

    Returns the weights' file. Raises UserError for a run that is too large, or one too many.
    """
    info, tensors = read_run(run), load_weights(run / WEIGHTS_FILE)
    sizes = [len(save(needed_weights(tensors, info["model"], half))) for half in (False, True)]
    half = sizes[False] > LARGEST
    if sizes[half] > LARGEST:
        least = f"{sizes[half] / 1e6:.1f} MB in float16, and {LARGEST / 1e6:.0f} MB is the most"
        raise UserError(f"{info['run']} takes {least}: release a smaller network")
    out = RELEASED / info["study"] / info["run"]
    others = sum(file.stat().st_size for file in RELEASED.glob(f"*/*/{WEIGHTS_FILE}") if file.parent != out)
    if others + sizes[half] > TOGETHER:
        full = f"released/ would hold {(others + sizes[half]) / 1e6:.1f} MB, {TOGETHER / 1e6:.0f} MB is the most"
        raise UserError(f"{full}: `git rm -r` a run there first")
    return export_weights(run, out, half)

"""Stage `download`: fetch the dataset of one slot, or read images of the user's own, and prepare it."""

from pathlib import Path
from typing import Literal

from modescope.config import load_params
from modescope.data.prepared import save_prepared
from modescope.data.slots import SHAPES
from modescope.data.sources import fetch
from modescope.errors import UserError
from modescope.files import atomic_path
from modescope.process import run_stage


def main(slot: Literal["rgb", "grey"], out: Path) -> None:
    """Write {train,test}.safetensors of the dataset that params.yaml names for SLOT to OUT."""
    name = getattr(load_params().datasets, slot)
    splits = fetch(name, slot)
    for shape in (tuple(dataset.images.shape[1:]) for dataset in splits.values()):
        if shape != SHAPES[slot]:
            raise UserError(f"datasets.{slot}={name}: images of shape {shape}, the slot takes {SHAPES[slot]}")
    with atomic_path(out) as folder:
        for split, dataset in splits.items():
            save_prepared(dataset, folder / f"{split}.safetensors", split)
            print(f"{slot}/{split}: {len(dataset.labels):,} images of {dataset.name} (source: {dataset.source})")


if __name__ == "__main__":
    run_stage(main)

"""Stage `download`: fetch the dataset of one slot and prepare it."""

from pathlib import Path
from typing import Literal

from modescope.config import load_params
from modescope.data.prepared import save_prepared
from modescope.data.sources import fetch
from modescope.files import atomic_path
from modescope.process import run_stage


def main(slot: Literal["rgb", "grey"], out: Path) -> None:
    """Write {train,test}.safetensors of the dataset that params.yaml names for SLOT to OUT."""
    splits = fetch(getattr(load_params().datasets, slot))
    with atomic_path(out) as folder:
        for split, dataset in splits.items():
            save_prepared(dataset, folder / f"{split}.safetensors", split)
            print(f"{slot}/{split}: {len(dataset.labels):,} images of {dataset.name} (source: {dataset.source})")


if __name__ == "__main__":
    run_stage(main)

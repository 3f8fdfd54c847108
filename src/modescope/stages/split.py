"""Stage `split`: draw the imbalanced splits, and `balanced`, as lists of rows of the prepared train set."""

from pathlib import Path

from modescope.config import load_params
from modescope.data.prepared import load_prepared
from modescope.data.splits import draw_splits
from modescope.files import atomic_path
from modescope.process import run_stage


def main(data: Path, out: Path, balanced: bool = False) -> None:
    """Write one JSON file per split of DATA's train set to OUT, or that of the split --balanced alone."""
    plan = load_params().split
    counts, long_tailed = ({}, {}) if balanced else (plan.counts, plan.long_tailed)
    splits = draw_splits(
        load_prepared(data / "train.safetensors"), plan.classes, counts, plan.total, plan.seed, long_tailed
    )
    with atomic_path(out) as folder:
        for split in splits:
            split.save(folder / f"{split.name}.json")
            print(
                f"{split.name}: {sum(split.counts):,} images of {len(split.classes)} classes, ratio {split.ratio:.2f}"
            )


if __name__ == "__main__":
    run_stage(main)

"""Stage `features`: all real images of a data set as the judge sees them, and the clusters of its classes."""

from pathlib import Path

from modescope.config import load_params
from modescope.data.prepared import load_prepared
from modescope.evaluation.extractors import Judge
from modescope.evaluation.real_images import cluster_centres, save_seen, see
from modescope.process import run_stage
from modescope.training.device import training_device


def main(data: Path, judge: Path, out: Path) -> None:
    """Show the images of DATA to JUDGE, and write what `inside` reads to OUT."""
    params, network = load_params(), Judge(judge, training_device())
    train, test = (
        see(found.images, found.labels, network)
        for found in (load_prepared(data / f"{part}.safetensors") for part in ("train", "test"))
    )
    centres = cluster_centres(train.features, train.labels, params.inside.clusters, params.evaluation.seed)
    save_seen(train, test, centres, out)


if __name__ == "__main__":
    run_stage(main)

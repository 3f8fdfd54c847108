"""A look inside a run: what its samples miss, where they fail, what they copy, and how smooth its latent space is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from modescope.config import Evaluation
from modescope.evaluation import failures, lost
from modescope.evaluation.copying import Nearest, copying_metrics, nearest
from modescope.evaluation.failures import Doubt
from modescope.evaluation.features import Extractor
from modescope.evaluation.paths import POINTS, Walker, blends, path_metrics
from modescope.evaluation.real_images import RealImages, Seen, see
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.pictures import grid

SHOWN_LOST, SHOWN = 8, 4  # images of a class on a picture
BLANK = 255
SPACES = ("judge", "pixels")


class Look(NamedTuple):
    """metrics: of the metrics file; pictures: kind -> (H, W, C) uint8, blocks of rows with a column for every class."""

    metrics: dict[str, Any]
    pictures: dict[str, Tensor]


def look_inside(sampler: Sampler, real: RealImages, judge: Extractor, settings: Evaluation, paths: int) -> Look:
    """Draw the samples that evaluation measures, and hold them against real images. See docs/method.md.

    Pictures: `lost` (real images that no sample is near to; their nearest samples), `least_sure`, `misjudged` and
    `between` (samples; their nearest training images to the judge; those in pixels), `paths` (a path in a row: between
    two z, then between two labels). `paths` is how many of each are measured.
    """
    drawn = sampler.sample(settings.num_samples, settings.seed)
    labels = torch.zeros(len(drawn.images), dtype=torch.int64) if drawn.labels is None else drawn.labels
    seen = see(drawn.images, labels, judge)
    near = {"judge": nearest(seen.features, real.trained.features), "pixels": nearest(seen.images, real.trained.images)}
    metrics: dict[str, Any] = {"num_samples": len(seen.images), "num_test": len(real.test.images)}
    missed, pictures = _lost(seen, real, settings.neighbours)
    failed, shown = _failures(seen, real, near, has_labels=drawn.labels is not None)
    copied = _copied(seen, real, near, settings.seed)
    walked, strips = _walked(sampler, real, judge, paths, settings.seed)
    return Look(metrics | missed | failed | copied | walked, pictures | shown | strips)


def _lost(seen: Seen, real: RealImages, neighbours: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Of samples, and of test images as far as numbers go."""
    number, reference = len(real.classes), real.reference
    clusters = len(real.centres) // number
    cells = real.cells(reference.features)
    reached = lost.reach(reference.features, seen.features, neighbours)
    floor = lost.reach(reference.features, real.test.features, neighbours)
    metrics = lost.coverage_metrics(reached.far, reference.labels, cells, number, clusters)
    of_test = lost.coverage_metrics(floor.far, reference.labels, cells, number, clusters)
    metrics |= {f"{name}_test": value for name, value in of_test.items() if name != "num_clusters"}
    rows = lost.most_lost(reached.far, reference.labels, number, SHOWN_LOST)
    blocks = [columns(reference.images, rows, SHOWN_LOST)]
    blocks += [columns(seen.images, [reached.samples[own] for own in rows], SHOWN_LOST)]
    return metrics, {"lost": grid(torch.cat(blocks), number)}


def _failures(
    seen: Seen, real: RealImages, near: dict[str, Nearest], has_labels: bool
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    doubt, number = Doubt.of(seen.logits), len(real.classes)
    labels = seen.labels if has_labels else doubt.best
    picks = {"least_sure": failures.least_sure(doubt, labels, number, SHOWN)}
    if has_labels:
        picks["misjudged"] = failures.misjudged(doubt, labels, number, SHOWN)
    pairs = [*failures.between(doubt, number, SHOWN).values()]
    picks["between"] = pairs + [torch.zeros(0, dtype=torch.int64)] * (number - len(pairs))
    pictures = {}
    for kind, rows in picks.items():
        blocks = [columns(seen.images, rows, SHOWN)]
        blocks += [columns(real.trained.images, [near[space].rows[own] for own in rows], SHOWN) for space in SPACES]
        pictures[kind] = grid(torch.cat(blocks), number)
    return failures.failure_metrics(doubt, Doubt.of(real.test.logits), real.classes), pictures


def _copied(seen: Seen, real: RealImages, near: dict[str, Nearest], seed: int) -> dict[str, float]:
    of_test = {
        "judge": nearest(real.test.features, real.trained.features),
        "pixels": nearest(real.test.images, real.trained.images),
    }
    cells = [real.cells(each.features) for each in (seen, real.test, real.trained)]
    metrics = {}
    for space in SPACES:
        found = copying_metrics(near[space].distances, of_test[space].distances, *cells, seed)
        metrics |= {f"{name}_{space}": value for name, value in found.items()}
    return metrics


def _walked(
    sampler: Sampler, real: RealImages, judge: Extractor, count: int, seed: int
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Nothing of a VAE, whose decoder has no normal noise of its own."""
    if not isinstance(sampler, GeneratorSampler):
        return {}, {}
    walker, number = Walker(sampler, count, seed), len(real.classes)
    paths = {"z": walker.between_latents()}
    if sampler.num_classes is not None:
        paths["labels"] = walker.between_labels()
    strips = grid(torch.cat([each[:number].flatten(0, 1) for each in paths.values()]), POINTS)
    by_class = [real.test.images[real.test.labels == label] for label in range(number)]
    by_class = [images for images in by_class if len(images) > 1]
    starts = [by_class[path % len(by_class)] for path in range(count)]
    for kind, ahead in (("blend", 0), ("blend_labels", 1)):
        ends = [by_class[(path + ahead) % len(by_class)] for path in range(count)]
        one, other = (
            torch.stack([images[(path + late) % len(images)] for path, images in enumerate(chosen)])
            for late, chosen in ((0, starts), (1, ends))
        )
        paths[kind] = blends(one, other)
    found = {kind: path_metrics(each, judge) for kind, each in paths.items()}
    flat = {f"{name}_{kind}": value for kind, measured in found.items() for name, value in measured.items()}
    return flat, {"paths": strips}


def columns(images: Tensor, rows: Sequence[Tensor], height: int) -> Tensor:
    """(N, C, H, W) uint8 and some row numbers for every column -> (height * len(rows), C, H, W), row by row; blank
    where a column has fewer than `height`.
    """
    sheet = images.new_full((height, len(rows), *images.shape[1:]), BLANK)
    for column, own in enumerate(rows):
        sheet[: len(own), column] = images[own]
    return sheet.flatten(0, 1)

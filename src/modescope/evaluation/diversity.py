"""Diversity within a class: pixel deviation (report 2), MS-SSIM between images, recall and coverage of real images."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from modescope.data.batches import to_signed, to_unit
from modescope.data.order import random_order
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts
from modescope.evaluation.features import check_same_width
from modescope.evaluation.prdc import precision_recall_density_coverage

SIGMA = 1.5  # makes torchmetrics take a window of 11 pixels, 3.5 sigma to either side
WINDOW = 11
SCALE_WEIGHTS = (0.0448 / 0.3304, 0.2856 / 0.3304)  # the two finest of Wang et al.'s five, rescaled to sum to 1
SMALLEST_SIDE = WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)
PAIRS_AT_ONCE = 250


def pixel_std(images: Tensor) -> float:
    """Standard deviation over all pixels of images (N, C, H, W) uint8 in [-1, 1]: report 2's diversity (table 8.1).

    It measures contrast. One sharp image, repeated, has it too, so it cannot see a collapse.
    """
    return to_signed(images).double().std(correction=0).item()


def ms_ssim(images: Tensor) -> float:
    """Mean multi-scale structural similarity (Wang et al. 2003) of random pairs, by torchmetrics: 1 for equal images.

    The images form a ring in a random order that is always the same for N, and each is compared with the one before it:
    N pairs. Five scales, the usual number, need 161 pixels; these are two, full and half size, the window is Wang's (11
    pixels, sigma 1.5). Pairs that are anti-correlated count 0. The value depends on the images' size and background: it
    means something beside that of real images, within a class.

    Args:
        images: (N >= 2, C, H, W) uint8.
    Returns:
        In [0, 1], high: alike.
    Raises:
        UserError: one image alone; a side of fewer than 22 pixels, where half of it is less than a window.
        ValueError: another dtype.
    """
    from torchmetrics.functional import image as metrics  # brings SciPy and Matplotlib

    if len(images) < 2 or min(images.shape[2:]) < SMALLEST_SIDE:
        raise UserError(
            f"MS-SSIM compares at least 2 images of {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels or more, "
            f"found {len(images)} of {images.shape[2]} x {images.shape[3]}: "
            "take larger images, or measure without class diversity"
        )
    ring = to_unit(images[random_order(len(images), seed=0)])
    pairs = zip(ring.split(PAIRS_AT_ONCE), ring.roll(1, dims=0).split(PAIRS_AT_ONCE), strict=True)
    options = {"sigma": SIGMA, "kernel_size": WINDOW, "data_range": 1.0, "betas": SCALE_WEIGHTS, "reduction": "none"}
    compare = partial(metrics.multiscale_structural_similarity_index_measure, **options)
    return torch.cat([compare(one, other) for one, other in pairs]).double().mean().item()


def class_diversity(
    images: Tensor,
    labels: Tensor,
    features: Tensor,
    real_features: Tensor,
    real_labels: Tensor,
    per_class: int,
    neighbours: int,
) -> dict[str, Any]:
    """Measure each class's first `per_class` images against its first `per_class` reference images.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64 >= 0, the classes that the images are meant to be of; K is one more than the largest on
            either side.
        features: (N, D) floating-point, what an extractor sees in the images.
        real_features: (M, D) floating-point, what the same extractor sees in the reference images.
        real_labels: (M,) int64 >= 0.
        per_class: more than `neighbours`. Recall and coverage depend on it: compare equal numbers only.
        neighbours: k of `precision_recall_density_coverage`.

    Returns:
        pixel_std, ms_ssim, recall_per_class, coverage_per_class, each a list of K numbers.

    Raises:
        UserError: a class has fewer images on a side; `per_class` is too low for the neighbours; images too small for
            MS-SSIM.
        ValueError: other shapes or dtypes.
    """
    check_same_width(real_features, features)
    _check_counts((images, labels, features), (real_labels, real_features))
    if per_class <= neighbours:
        raise UserError(
            f"{per_class} images of a class have no {neighbours} neighbours: "
            "raise cgan.per_class_samples above evaluation.neighbours"
        )
    num_classes = int(max(labels.max(), real_labels.max())) + 1
    drawn = _first_of_each_class(labels, num_classes, per_class, "generated images", "evaluation.num_samples")
    real = _first_of_each_class(real_labels, num_classes, per_class, "reference images", "evaluation.prdc_samples")
    near = [
        precision_recall_density_coverage(real_features[there], features[here], neighbours)
        for here, there in zip(drawn, real, strict=True)
    ]
    return {
        "pixel_std": [pixel_std(images[rows]) for rows in drawn],
        "ms_ssim": [ms_ssim(images[rows]) for rows in drawn],
        "recall_per_class": [found.recall for found in near],
        "coverage_per_class": [found.coverage for found in near],
    }


def _check_counts(generated: tuple[Tensor, ...], real: tuple[Tensor, ...]) -> None:
    (images, labels, features), (real_labels, real_features) = map(len, generated), map(len, real)
    if not images == labels == features or real_labels != real_features:
        raise ValueError(
            f"expected as many labels and features as images, received {labels} and {features} for {images}, "
            f"{real_labels} labels for {real_features} of the reference"
        )


def _first_of_each_class(labels: Tensor, num_classes: int, per_class: int, what: str, setting: str) -> list[Tensor]:
    """K times the rows (per_class,) of a class's first images."""
    counts = class_counts(labels, num_classes)
    scarcest = int(counts.argmin())
    if counts[scarcest] < per_class:
        raise UserError(
            f"class {scarcest} has {counts[scarcest]} {what}, {per_class} are compared: "
            f"raise {setting} or lower cgan.per_class_samples"
        )
    return [(labels == label).nonzero()[:per_class, 0] for label in range(num_classes)]

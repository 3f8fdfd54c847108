"""Diversity within a class: what sees a collapse, and what report 2 took for it."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from modescope.errors import UserError
from modescope.evaluation import diversity
from modescope.evaluation.diversity import class_diversity, ms_ssim, pixel_std

PER_CLASS = 60


def squares(count, seed, channels=1, side=28):
    """A white square at a random place of a black image: all are equally sharp, few are the same."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, channels, side, side, dtype=torch.uint8)
    for image, (top, left) in zip(
        images, torch.randint(0, side - 8, (count, 2), generator=generator).tolist(), strict=True
    ):
        image[:, top : top + 8, left : left + 8] = 255
    return images


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def by_hand(one, other, weights):
    """Wang et al.'s formula with SciPy: contrast and structure at full size inside the border, SSIM at half size."""
    factors = []
    for scale in (0, 1):
        x, y = (image.double().numpy() / 255 for image in (one, other))
        if scale:
            x, y = (image.reshape(len(image), image.shape[1] // 2, 2, -1, 2).mean((2, 4)) for image in (x, y))

        def blur(image):
            return np.stack([gaussian_filter(channel, 1.5, mode="mirror", truncate=3.5) for channel in image])

        mean_x, mean_y = blur(x), blur(y)
        variance_x, variance_y, covariance = (
            blur(x * x) - mean_x**2,
            blur(y * y) - mean_y**2,
            blur(x * y) - mean_x * mean_y,
        )
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        contrast = (2 * covariance + 0.03**2) / (variance_x + variance_y + 0.03**2)
        factors.append((luminance * contrast).mean() if scale else contrast[:, 5:-5, 5:-5].mean())
    return np.prod([max(factor, 0) ** weight for factor, weight in zip(factors, weights, strict=True)])


def test_pixel_std_by_hand():
    images = torch.tensor([0, 255, 255, 0, 0, 0, 255, 255], dtype=torch.uint8).view(2, 1, 2, 2)
    assert pixel_std(images) == 1.0
    assert pixel_std(images[:1, :, :1, :1].expand(5, -1, -1, -1)) == 0.0
    with pytest.raises(ValueError, match="uint8"):
        pixel_std(images.float())


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (1, 22)])
def test_ms_ssim_is_the_published_formula(channels, side):
    one = squares(1, 0, channels, side)[0] // 2 + noise(channels, side, side) // 4
    other = squares(1, 1, channels, side)[0] // 2 + noise(channels, side, side, seed=1) // 4
    weights = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    expected = by_hand(one, other, weights)
    assert 0.05 < expected < 0.95
    assert ms_ssim(torch.stack([one, other])) == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_is_the_mean_over_a_ring_of_pairs():
    """Three images make all three pairs."""
    images = squares(3, seed=0) // 2 + noise(3, 1, 28, 28) // 4
    pairs = [ms_ssim(images[[i, j]]) for i, j in ((0, 1), (1, 2), (2, 0))]
    assert len(set(pairs)) == 3 and ms_ssim(images) == pytest.approx(sum(pairs) / 3)


def test_ms_ssim_tells_one_image_from_many():
    assert ms_ssim(squares(1, seed=0).expand(50, -1, -1, -1)) == pytest.approx(1, abs=1e-6)
    assert ms_ssim(noise(50, 3, 32, 32)) < 0.1
    assert ms_ssim(squares(50, seed=0)) < 0.6


@pytest.mark.parametrize("pairs_at_once", [1, 7, 100])
def test_batch_size_changes_nothing(monkeypatch, pairs_at_once):
    images = squares(20, seed=0)
    whole = ms_ssim(images)
    monkeypatch.setattr(diversity, "PAIRS_AT_ONCE", pairs_at_once)
    assert ms_ssim(images) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize(("shape", "found"), [((5, 1, 21, 28), "5 of 21 x 28"), ((1, 1, 28, 28), "1 of 28 x 28")])
def test_too_small_for_ms_ssim(shape, found):
    with pytest.raises(
        UserError, match=f"at least 2 images of 22 x 22 pixels or more, found {found}: take larger images"
    ):
        ms_ssim(torch.zeros(shape, dtype=torch.uint8))


def seen(images):
    """Features: the image at a seventh of its size, and a little noise that keeps equal places apart."""
    pooled = torch.nn.functional.avg_pool2d(images.float() / 255, 4).flatten(1)
    return pooled + 0.001 * torch.randn(pooled.shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def classes():
    """Two classes of squares, generated and real, in turns; of class 1 a single image is generated."""
    labels = torch.arange(2 * PER_CLASS) % 2
    images, real = squares(2 * PER_CLASS, seed=0), squares(2 * PER_CLASS, seed=1)
    images[labels == 1] = images[1].clone()
    features = seen(images)
    features[labels == 1] = features[1].clone()
    return {
        "images": images,
        "labels": labels,
        "features": features,
        "real_features": seen(real),
        "real_labels": labels.clone(),
    }


def test_a_collapsed_class_is_seen_by_all_but_the_reports_measure(classes):
    """Report 2 reads its pixel deviation as diversity: it is the same for one square, repeated, as for many squares."""
    found = class_diversity(**classes, per_class=PER_CLASS, neighbours=5)
    assert found["pixel_std"][1] == pytest.approx(found["pixel_std"][0], abs=1e-12)
    assert found["ms_ssim"][1] == pytest.approx(1, abs=1e-6) and found["ms_ssim"][0] < 0.6
    assert found["recall_per_class"][1] == 0 and found["recall_per_class"][0] > 0.7
    assert found["coverage_per_class"][1] < 0.3 and found["coverage_per_class"][0] > 0.7


def test_only_the_first_images_of_each_class_count(classes):
    few = class_diversity(**{name: tensor[:60] for name, tensor in classes.items()}, per_class=30, neighbours=5)
    assert class_diversity(**classes, per_class=30, neighbours=5) == few
    assert class_diversity(**classes, per_class=31, neighbours=5) != few


def test_classes_are_told_apart_by_label_and_not_by_place(classes):
    mixed = {name: tensor[classes["labels"].argsort(stable=True)] for name, tensor in classes.items()}
    assert class_diversity(**mixed, per_class=PER_CLASS, neighbours=5) == class_diversity(
        **classes, per_class=PER_CLASS, neighbours=5
    )


@pytest.mark.parametrize(
    ("changes", "per_class", "error", "message"),
    [
        (
            {},
            61,
            UserError,
            "class 0 has 60 generated images, 61 are compared: raise evaluation.num_samples or lower "
            "cgan.per_class_samples",
        ),
        (
            {"real_labels": lambda labels: labels * (torch.arange(120) > 1)},
            60,
            UserError,
            "class 1 has 59 reference .* evaluation.prdc_samples",
        ),
        ({"labels": lambda labels: 2 * labels}, 30, UserError, "class 1 has 0 generated images"),
        ({}, 5, UserError, "raise cgan.per_class_samples above evaluation.neighbours"),
        ({"labels": lambda labels: labels[1:]}, 30, ValueError, "received 119 and 120 for 120"),
        ({"features": lambda features: features[1:]}, 30, ValueError, "received 120 and 119 for 120"),
        ({"real_labels": lambda labels: labels[1:]}, 30, ValueError, "119 labels for 120 of the reference"),
        ({"labels": lambda labels: labels.float()}, 30, ValueError, "int64"),
        ({"features": lambda features: features[:, 1:]}, 30, ValueError, "width 49 as the reference's, received 48"),
    ],
)
def test_what_cannot_be_measured_is_said(classes, changes, per_class, error, message):
    changed = classes | {name: change(classes[name]) for name, change in changes.items()}
    with pytest.raises(error, match=message):
        class_diversity(**changed, per_class=per_class, neighbours=5)

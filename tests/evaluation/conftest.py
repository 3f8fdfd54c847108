"""A small extractor and settings that the tests of this folder share."""

import pytest
import torch
from torch import Tensor

import modescope.vision  # noqa: F401  (before torchmetrics, which imports torchvision)
from modescope.config import Evaluation

NUM_CLASSES = 4


class PixelJudge:
    """Stands for the judge: eight pixels are the features, the brightest of the first four is the class."""

    name, suffix, identity = "judge", "_classifier", "pixels"

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.flatten(1)[:, :8].float() / 255
        return pixels, 20 * pixels[:, :NUM_CLASSES]


@pytest.fixture
def pixel_judge() -> PixelJudge:
    return PixelJudge()


@pytest.fixture
def settings() -> Evaluation:
    return Evaluation(
        num_samples=300,
        seed=0,
        extractors=["judge"],
        neighbours=5,
        prdc_samples=250,
        kid_subsets=10,
        kid_subset_size=50,
        is_splits=5,
    )


@pytest.fixture
def draw_images():
    """Images of classes drawn by `probabilities`: noise, and one of the first four pixels bright."""

    def draw(count: int, probabilities: list[float], seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.multinomial(
            torch.tensor(probabilities, dtype=torch.float64), count, replacement=True, generator=generator
        )
        images = torch.randint(0, 100, (count, 1, 4, 4), dtype=torch.uint8, generator=generator)
        images.flatten(1)[torch.arange(count), labels] = 255
        return images, labels

    return draw

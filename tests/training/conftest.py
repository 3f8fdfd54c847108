"""Fixtures of the training tests."""

import pytest

from modescope.training import device, two_stage


@pytest.fixture(autouse=True)
def few_images_to_start_from(monkeypatch):
    """Stage 2's adapters are fitted to 64 images in place of 2,048."""
    monkeypatch.setattr(two_stage, "START_IMAGES", 64)


@pytest.fixture
def any_precision(monkeypatch):
    """The CPU computes in bfloat16, too, where it is asked for: what CUDA does there can be seen without a GPU."""
    monkeypatch.setattr(device, "usable_precision", lambda precision, _: precision)

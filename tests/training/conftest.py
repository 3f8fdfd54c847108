"""Fixtures of the training tests."""

import pytest

from modescope.training import two_stage


@pytest.fixture(autouse=True)
def few_images_to_start_from(monkeypatch):
    """Stage 2's adapters are fitted to 64 images in place of 2,048."""
    monkeypatch.setattr(two_stage, "START_IMAGES", 64)

"""Terms added to a generator's loss: guidance by a frozen classifier."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from modescope.errors import UserError
from modescope.files import read_json
from modescope.models.classifiers import Classifier, load_classifier
from modescope.runs.folder import RUN_FILE


class ClassGuidance:
    """weight * CE(C(x), k): the image of a component should look like its class (report 1, equation 11).

    Args:
        guide: a frozen classifier of images in [0, 1].
        weight: the report's lambda.
    """

    name = "class"

    def __init__(self, guide: Classifier, weight: float):
        self.guide, self.weight = guide, weight

    def __call__(self, fake_images: Tensor, labels: Tensor) -> Tensor:
        """fake_images: (N, C, H, W) float in [-1, 1]; labels: (N,) int64 -> scalar, nats."""
        return self.weight * cross_entropy(self.guide((fake_images.float() + 1) / 2), labels)


def load_guide(folder: Path, dataset: str, device: torch.device | str) -> Classifier:
    """The guide of a run's folder, frozen.

    Raises UserError for a judge, or a guide that was trained on other data than `dataset`.
    """
    guide = load_classifier(folder, device)
    if guide.role != "guide":
        raise UserError(f"{folder} is a {guide.role}: what measures a generator must not teach it; name a guide")
    learned = read_json(folder / RUN_FILE)["data"]["name"]
    if learned != dataset:
        raise UserError(
            f"the guide {folder} was trained on {learned}, the generator's images are {dataset}: "
            "run `dvc repro classifier`"
        )
    return guide

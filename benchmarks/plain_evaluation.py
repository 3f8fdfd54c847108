"""Evaluation as torchmetrics' documentation writes it: a metric after the other, each with its own pass of the network over the images.

    python benchmarks/plain_evaluation.py            # an untrained judge
    python benchmarks/plain_evaluation.py FOLDER     # a trained one, models/classifiers/rgb-judge

torchmetrics has no precision, recall, density, coverage, no class shares against a reference, and nothing for long tails.
"""

import statistics
import sys
import time
import warnings
from pathlib import Path

import torch
from modescope.vision import torchvision  # noqa: F401  (before torchmetrics, which imports it)
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from modescope.config import Evaluation
from modescope.data.batches import to_unit
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.extractors import Judge
from modescope.evaluation.features import BATCH_SIZE, Extractor
from modescope.evaluation.reference import build_reference
from modescope.models.classifiers import build_classifier

IMAGES, CLASSES, PER_CLASS, ROUNDS = 10_000, 10, 500, 3
SETTINGS = Evaluation(
    num_samples=IMAGES, seed=1234, extractors=["judge"], neighbours=5, prdc_samples=IMAGES, kid_subsets=100, kid_subset_size=1000, is_splits=10
)


class Network(nn.Module):
    """images (B, C, H, W) uint8 -> features (part 0) or logits (part 1), as `feature` takes it."""

    def __init__(self, extractor: Extractor, part: int, num_features: int):
        super().__init__()
        self.extractor, self.part, self.num_features = extractor, part, num_features

    def forward(self, images: Tensor) -> Tensor:
        return self.extractor(images)[self.part]


class PlainEvaluation:
    """`run(n)` measures `generated` against `real` n times; `metrics` holds what the last time gave.

    Args:
        real, generated: (M, C, H, W) and (N, C, H, W) uint8.
        labels: (N,) int64, the classes that the generated images are meant to be of; None leaves class consistency and MS-SSIM out.
        per_class: images of a class whose MS-SSIM is taken.
        keep_real: the real images pass through FID and KID once, here, and are kept (`reset_real_features=False`), as for the
            second model of many. Else they pass through both every time.
    """

    def __init__(
        self,
        extractor: Extractor,
        real: Tensor,
        generated: Tensor,
        labels: Tensor | None = None,
        per_class: int = PER_CLASS,
        settings: Evaluation = SETTINGS,
        keep_real: bool = False,
    ):
        warnings.filterwarnings("ignore", message=".*will save all extracted features in buffer")
        self.real, self.generated, self.labels, self.keep_real = real, generated, labels, keep_real
        widths = [part.shape[1] for part in extractor(real[:2])]
        features, logits = (Network(extractor, part, width) for part, width in enumerate(widths))
        self.fid = FrechetInceptionDistance(feature=features, reset_real_features=not keep_real)
        self.kid = KernelInceptionDistance(
            feature=features, subsets=settings.kid_subsets, subset_size=settings.kid_subset_size, reset_real_features=not keep_real
        )
        self.inception_score = InceptionScore(feature=logits, splits=settings.is_splits)
        self.classify, self.confusion = logits, MulticlassConfusionMatrix(widths[1])
        self.ms_ssim = MultiScaleStructuralSimilarityIndexMeasure(
            sigma=1.5, kernel_size=11, data_range=1.0, betas=(0.0448 / 0.3304, 0.2856 / 0.3304)
        )
        self.classes = [] if labels is None else [generated[labels == label][:per_class] for label in range(widths[1])]
        if keep_real:
            self.see_real()

    def see_real(self) -> None:
        for metric in (self.fid, self.kid):
            for batch in self.real.split(BATCH_SIZE):
                metric.update(batch, real=True)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            for metric in (self.fid, self.kid, self.inception_score):
                metric.reset()
            if not self.keep_real:
                self.see_real()
            for metric in (self.fid, self.kid):
                for batch in self.generated.split(BATCH_SIZE):
                    metric.update(batch, real=False)
            for batch in self.generated.split(BATCH_SIZE):
                self.inception_score.update(batch)
            self.metrics = {"fid": self.fid.compute(), "kid": self.kid.compute(), "is": self.inception_score.compute()}
            if self.labels is not None:
                self.metrics |= {"confusion": self.class_consistency(), "ms_ssim": [self.similarity(images) for images in self.classes]}

    @torch.no_grad()
    def class_consistency(self) -> Tensor:
        self.confusion.reset()
        for batch, labels in zip(self.generated.split(BATCH_SIZE), self.labels.split(BATCH_SIZE)):
            self.confusion.update(self.classify(batch), labels)
        return self.confusion.compute()

    def similarity(self, images: Tensor) -> Tensor:
        self.ms_ssim.reset()
        images = images[torch.randperm(len(images))] / 255
        for batch, others in zip(images.split(BATCH_SIZE), images.roll(1, 0).split(BATCH_SIZE)):
            self.ms_ssim.update(batch, others)
        return self.ms_ssim.compute()


class UntrainedJudge:
    """The published judge's network (resnet 64-128-256) with random weights."""

    name, suffix, identity = "judge", "_classifier", "untrained"

    def __init__(self, device: torch.device | str = "cpu"):
        torch.manual_seed(0)
        self.network = build_classifier("resnet", [64, 128, 256], CLASSES, 3, "judge").to(device).eval().requires_grad_(False)
        self.device = device

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.features(to_unit(images.to(self.device)))


def structured_images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(count, 3, 32, 32) uint8, smooth blobs of a class's colours with noise, and their labels (count,) int64, all classes alike often."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    blobs = torch.rand(CLASSES, 3, 4, 4, generator=torch.Generator().manual_seed(0))[labels] + 0.3 * torch.randn(count, 3, 4, 4, generator=generator)
    images = nn.functional.interpolate(blobs, size=32, mode="bilinear") + 0.05 * torch.randn(count, 3, 32, 32, generator=generator)
    return (images.clamp(0, 1) * 255).byte(), labels


def main(folder: Path | None = None) -> None:
    """Print the medians over some rounds, which alternate, of ours and of both plain ways, and our metrics beside theirs."""
    judge = UntrainedJudge() if folder is None else Judge(folder, "cpu")
    (real, real_labels), (generated, labels) = structured_images(IMAGES, 1), structured_images(IMAGES, 2)
    reference = build_reference("balanced", real, real_labels, CLASSES, [judge], SETTINGS)
    ways = {
        "ours, every metric": lambda: evaluate_images(generated, reference, [judge], SETTINGS, labels, PER_CLASS),
        "plain, real and generated": lambda plain=PlainEvaluation(judge, real, generated, labels): plain.run(1) or plain.metrics,
        "plain, generated only": lambda plain=PlainEvaluation(judge, real, generated, labels, keep_real=True): plain.run(1) or plain.metrics,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            began = time.perf_counter()
            found = run()
            seconds[name].append(time.perf_counter() - began)
            if len(seconds[name]) == ROUNDS:
                print(f"{name}: {', '.join(f'{each:.1f}' for each in seconds[name])} s, {({key: found[key] for key in found if 'fid' in key or 'kid' in key})}")
    ours, *plain = (statistics.median(each) for each in seconds.values())
    print("plain / ours:", ", ".join(f"{each / ours:.2f}" for each in plain))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

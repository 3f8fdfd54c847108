"""Evaluation as torchmetrics' documentation writes it: metric by metric, each with a pass of the network of its own.

torchmetrics has no precision, recall, density or coverage, no class shares against a reference, nothing for long tails.
"""

import warnings

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from modescope.config import Evaluation
from modescope.evaluation.features import BATCH_SIZE, Extractor


class Network(nn.Module):
    """images (B, C, H, W) uint8 -> features (part 0) or logits (part 1): what a metric's `feature` takes."""

    def __init__(self, extractor: Extractor, part: int, num_features: int):
        super().__init__()
        self.extractor, self.part, self.num_features = extractor, part, num_features

    def forward(self, images: Tensor) -> Tensor:
        return self.extractor(images)[self.part]


class PlainEvaluation:
    """`run(n)` measures `generated` against `real` n times; `metrics` holds what the last time gave.

    FID, KID, IS, the confusion matrix of the classes, MS-SSIM of each class.

    Args:
        real, generated: (M, C, H, W) and (N, C, H, W) uint8.
        labels: (N,) int64, the classes that the generated images are meant to be of.
        per_class: images of a class whose MS-SSIM is taken.
        settings: number and size of KID's subsets, splits of IS.
        keep_real: the real images pass through FID and KID once, here, and are kept (`reset_real_features=False`), as
            for the second of many models. Else they pass through both every time.
    """

    def __init__(
        self,
        extractor: Extractor,
        real: Tensor,
        generated: Tensor,
        labels: Tensor,
        per_class: int,
        settings: Evaluation,
        keep_real: bool = False,
    ):
        warnings.filterwarnings("ignore", message=".*will save all extracted features in buffer")
        self.real, self.generated, self.labels, self.keep_real = real, generated, labels, keep_real
        seen, judged = extractor(real[:2])
        self.device, width, num_classes = seen.device, seen.shape[1], judged.shape[1]
        features, logits = Network(extractor, 0, width), Network(extractor, 1, num_classes)
        self.fid = FrechetInceptionDistance(feature=features, reset_real_features=not keep_real)
        self.kid = KernelInceptionDistance(
            feature=features,
            subsets=settings.kid_subsets,
            subset_size=settings.kid_subset_size,
            reset_real_features=not keep_real,
        )
        self.inception_score = InceptionScore(feature=logits, splits=settings.is_splits)
        self.classify, self.confusion = logits, MulticlassConfusionMatrix(num_classes)
        self.ms_ssim = MultiScaleStructuralSimilarityIndexMeasure(
            sigma=1.5, kernel_size=11, data_range=1.0, betas=(0.0448 / 0.3304, 0.2856 / 0.3304)
        )
        self.classes = [generated[labels == label][:per_class] for label in range(num_classes)]
        for metric in (self.fid, self.kid, self.inception_score, self.confusion, self.ms_ssim):
            metric.to(self.device)
        if keep_real:
            self.see_real()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            for metric in (self.fid, self.kid, self.inception_score, self.confusion):
                metric.reset()
            if not self.keep_real:
                self.see_real()
            for metric in (self.fid, self.kid):
                for batch in self.generated.split(BATCH_SIZE):
                    metric.update(batch, real=False)
            for batch in self.generated.split(BATCH_SIZE):
                self.inception_score.update(batch)
            for batch, labels in zip(self.generated.split(BATCH_SIZE), self.labels.split(BATCH_SIZE), strict=False):
                self.confusion.update(self.classify(batch), labels.to(self.device))
            self.metrics = {
                "fid": self.fid.compute().item(),
                "kid": [value.item() for value in self.kid.compute()],
                "is": [value.item() for value in self.inception_score.compute()],
                "confusion": self.confusion.compute().tolist(),
                "ms_ssim": [self.similarity(images) for images in self.classes],
            }

    def see_real(self) -> None:
        for metric in (self.fid, self.kid):
            for batch in self.real.split(BATCH_SIZE):
                metric.update(batch, real=True)

    def similarity(self, images: Tensor) -> float:
        self.ms_ssim.reset()
        images = images[torch.randperm(len(images))].to(self.device) / 255
        for batch, others in zip(images.split(BATCH_SIZE), images.roll(1, 0).split(BATCH_SIZE), strict=False):
            self.ms_ssim.update(batch, others)
        return self.ms_ssim.compute().item()

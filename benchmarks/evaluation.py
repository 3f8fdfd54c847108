"""What it takes to measure a set of images: every metric of ours, against torchmetrics' used one by one."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import with_peak_memory
from benchmarks.plain_evaluation import PlainEvaluation
from modescope.config import Evaluation, parse_params, profile_values
from modescope.data.batches import to_unit
from modescope.evaluation.evaluate import evaluate_images
from modescope.evaluation.reference import Reference, build_reference
from modescope.models.classifiers import build_classifier

IMAGES, NUM_CLASSES, PER_CLASS = 10_000, 10, 500
SIZES = (1000, 2000, 5000, 10_000, 20_000)
ROUNDS = 3


class UntrainedJudge:
    """The standard profile's judge of colour images, with random weights."""

    name, suffix, identity = "judge", "_classifier", "untrained"

    def __init__(self, device: torch.device):
        settings = parse_params(profile_values("standard"), "standard").classifiers["rgb-judge"]
        torch.manual_seed(0)
        network = build_classifier(settings.network, settings.widths, NUM_CLASSES, 3, "judge")
        self.network, self.device = network.to(device).eval().requires_grad_(False), device

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As `evaluation.extractors.Judge`."""
        return self.network.features(to_unit(images.to(self.device)))


def smooth_images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(count, 3, 32, 32) uint8 of random colour fields, and labels (count,)."""
    fields = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return (255 * nn.functional.interpolate(fields, size=32, mode="bilinear")).to(torch.uint8), torch.arange(
        count
    ) % NUM_CLASSES


def evaluation_seconds(device: torch.device) -> dict[str, Any]:
    """Seconds of ours and of torchmetrics', in turn, on 10,000 generated and as many real images.

    torchmetrics sees the real images every time, as its documentation shows, or only the generated ones, as for the
    second of many models. Its FID, KID, IS, confusion and MS-SSIM are a part of our metrics: it has no precision,
    recall, density, coverage.
    """
    settings, judge = parse_params(profile_values("standard"), "standard").evaluation, UntrainedJudge(device)
    (real, real_labels), (generated, labels) = smooth_images(IMAGES, 1), smooth_images(IMAGES, 2)
    reference = build_reference("balanced", real, real_labels, NUM_CLASSES, [judge], settings)
    plain, generated_only = (
        PlainEvaluation(judge, real, generated, labels, PER_CLASS, settings, keep_real=keep) for keep in (False, True)
    )
    ways = {
        "ours": lambda: evaluate_images(generated, reference, [judge], settings, labels, PER_CLASS),
        "torchmetrics": lambda: plain.run(1),
        "torchmetrics_generated_only": lambda: generated_only.run(1),
    }
    rounds = [{name: seconds_of(work) for name, work in ways.items()} for _ in range(ROUNDS)]
    ratios = [each["torchmetrics"] / each["ours"] for each in rounds]
    return {
        "images": IMAGES,
        **{f"{name}_seconds": statistics.median(each[name] for each in rounds) for name in ways},
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def evaluation_scaling(device: torch.device) -> list[dict[str, Any]]:
    """Seconds and peak memory of an evaluation by the number of images, the reference's 10,000."""
    settings, judge = parse_params(profile_values("standard"), "standard").evaluation, UntrainedJudge(device)
    reference = build_reference("balanced", *smooth_images(IMAGES, 1), NUM_CLASSES, [judge], settings)
    return [_evaluated(count, reference, judge, settings, device) for count in SIZES]


def _evaluated(
    count: int, reference: Reference, judge: UntrainedJudge, settings: Evaluation, device: torch.device
) -> dict[str, Any]:
    images, labels = smooth_images(count, 2)
    taken: list[float] = []

    def run(_steps: int) -> None:
        taken.append(
            seconds_of(
                lambda: evaluate_images(
                    images, reference, [judge], settings, labels, min(PER_CLASS, count // NUM_CLASSES)
                )
            )
        )

    _, memory = with_peak_memory(lambda: run, device)
    return {"images": count, "seconds": taken[0], "peak_mib": memory}


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

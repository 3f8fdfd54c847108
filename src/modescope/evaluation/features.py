"""Images -> features and logits, one pass per extractor, shared by every metric."""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

BATCH_SIZE = 64
FULL_FLOAT32 = partial(torch.backends.cudnn.flags, enabled=True, deterministic=True, allow_tf32=False)


class Extractor(Protocol):
    """A frozen network that turns images into features; see `evaluation/extractors.py`.

    Attributes:
        name: the name in `evaluation.extractors`.
        suffix: what its metrics carry between name and `_mean` or `_std` ("" for Inception's, "_classifier" for the
            judge's).
        identity: says which weights these are; features of different identities are never compared.
    """

    name: str
    suffix: str
    identity: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) uint8 on the CPU -> (B, D) features and (B, K) logits, float32, any device."""
        ...


@dataclass(frozen=True)
class Features:
    """What one extractor sees in N images: `features` (N, D) and `logits` (N, K), float32 on the CPU."""

    features: Tensor
    logits: Tensor


def extract_features(images: Tensor, extractor: Extractor, batch_size: int = BATCH_SIZE) -> Features:
    """Run every image through `extractor` once, in float32, with a progress bar on a terminal.

    Args:
        images: (N, C, H, W) uint8 in [0, 255], N >= 1.
    Raises:
        ValueError: if the shape or dtype of the images, or of what the extractor returns, is another.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or len(images) == 0:
        raise ValueError(f"expected images (N >= 1, C, H, W) uint8, received {tuple(images.shape)} {images.dtype}")
    features, logits = [], []
    progress = tqdm(total=len(images), desc=f"{extractor.name} features", unit=" images", disable=None)
    with torch.inference_mode(), FULL_FLOAT32(), progress as bar:
        for batch in images.split(batch_size):
            batch_features, batch_logits = extractor(batch)
            features.append(batch_features.float().cpu())
            logits.append(batch_logits.float().cpu())
            bar.update(len(batch))
    found = Features(torch.cat(features), torch.cat(logits))
    check_features(found.features, f"{extractor.name} features")
    check_features(found.logits, f"{extractor.name} logits")
    return found


def check_features(features: Tensor, name: str) -> None:
    """Raises ValueError unless `features` is a finite floating-point matrix (N >= 1, D >= 1)."""
    if features.ndim != 2 or 0 in features.shape or not features.is_floating_point():
        raise ValueError(
            f"expected {name} (N, D) of a floating-point dtype, received {tuple(features.shape)} {features.dtype}"
        )
    if not features.isfinite().all():
        broken = (~features.isfinite()).any(1).sum()
        raise ValueError(f"expected finite {name}, received NaN or infinity in {broken} of {len(features)} rows")


def check_same_width(reference: Tensor, generated: Tensor) -> None:
    """Raises ValueError unless both are valid feature matrices over the same D features."""
    check_features(reference, "reference features")
    check_features(generated, "generated features")
    if reference.shape[1] != generated.shape[1]:
        wanted = f"width {reference.shape[1]} as the reference's"
        raise ValueError(f"expected generated features of {wanted}, received {generated.shape[1]}")


class Precomputed(nn.Identity):
    """Stands where torchmetrics expects its feature network, so that its metrics take features in place of images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

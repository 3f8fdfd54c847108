"""The reference set of a split: the real images that its models are measured against, reduced to statistics."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from modescope.config import Evaluation
from modescope.data.order import random_order
from modescope.errors import UserError
from modescope.evaluation.class_share import class_counts
from modescope.evaluation.features import Extractor, extract_features
from modescope.evaluation.frechet import FeatureSums, feature_sums
from modescope.files import atomic_path

REFERENCE = "reference.safetensors"


@dataclass(frozen=True)
class ReferenceFeatures:
    """What one extractor sees in the reference images.

    Attributes:
        identity: of the extractor's weights.
        sums: over all images, for the Frechet distance.
        sample: (M, D) float32, a seeded subset in random order, for the kernel distance and precision, recall, density,
            coverage.
    """

    identity: str
    sums: FeatureSums
    sample: Tensor


@dataclass(frozen=True)
class Reference:
    """Statistics of the images that a split's models are measured against.

    They are the split's own images; for a long-tailed split, the balanced training set's.

    Attributes:
        split: its name.
        class_counts: (K,) int64, images per class of the whole dataset, dataset order.
        sample_labels: (M,) int64 in [0, K), the classes of the images that `sample` holds, which are every extractor's
            the same.
        features: by extractor name.
        training_counts: (K,) int64, images per class of the long-tailed split itself; None for other splits.
    """

    split: str
    class_counts: Tensor
    sample_labels: Tensor
    features: dict[str, ReferenceFeatures]
    training_counts: Tensor | None = None

    @property
    def num_images(self) -> int:
        """Images in the reference set."""
        return int(self.class_counts.sum())


def build_reference(
    split: str,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    extractors: Sequence[Extractor],
    settings: Evaluation,
    training_counts: Tensor | None = None,
) -> Reference:
    """Reduce the images that a split's models are measured against to what the metrics need.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64 in [0, num_classes).
        settings: the seed of the stored subset, and its size: the larger of `prdc_samples` and `kid_subset_size`, at
            most N.
    """
    stored = random_order(len(images), settings.seed)[: max(settings.prdc_samples, settings.kid_subset_size)]
    features = {}
    for extractor in extractors:
        seen = extract_features(images, extractor).features
        features[extractor.name] = ReferenceFeatures(extractor.identity, feature_sums(seen), seen[stored])
    return Reference(split, class_counts(labels, num_classes), labels[stored], features, training_counts)


def save_reference(reference: Reference, folder: Path) -> None:
    """Write `folder`/reference.safetensors; equal references give equal bytes."""
    tensors = {"class_counts": reference.class_counts, "sample_labels": reference.sample_labels}
    if reference.training_counts is not None:
        tensors["training_counts"] = reference.training_counts
    for name, seen in reference.features.items():
        tensors |= {f"{name}/total": seen.sums.total, f"{name}/outer": seen.sums.outer, f"{name}/sample": seen.sample}
    about = {"split": reference.split, "extractors": {name: seen.identity for name, seen in reference.features.items()}}
    with atomic_path(folder / REFERENCE) as temporary:
        save_file(tensors, temporary, {"reference": json.dumps(about)})  # one entry: safetensors shuffles several


def load_reference(folder: Path, extractors: Sequence[Extractor]) -> Reference:
    """Read what `save_reference` wrote, as far as `extractors` need it.

    Raises UserError if it is missing, damaged, or was made with other extractors or other weights of theirs.
    """
    path = folder / REFERENCE
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["reference"])
            counts, sample_labels = file.get_tensor("class_counts"), file.get_tensor("sample_labels")
            for extractor in extractors:
                if about["extractors"].get(extractor.name) != extractor.identity:
                    raise UserError(f"{path} was not made with this {extractor.name}: run `dvc repro reference` first")
            training_counts = file.get_tensor("training_counts") if "training_counts" in file.keys() else None
            features = {each.name: _read_features(file, each, int(counts.sum())) for each in extractors}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `dvc repro reference`, or `dvc checkout` if it ran before") from None
    except (SafetensorError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no reference set ({error}): delete it and run `dvc repro reference`") from None
    return Reference(about["split"], counts, sample_labels, features, training_counts)


def _read_features(file: safe_open, extractor: Extractor, count: int) -> ReferenceFeatures:
    total, outer, sample = (file.get_tensor(f"{extractor.name}/{part}") for part in ("total", "outer", "sample"))
    return ReferenceFeatures(extractor.identity, FeatureSums(count, total, outer), sample)

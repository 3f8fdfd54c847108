"""Real images as the judge sees them, and the clusters of every class: what a run's samples are looked at beside."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import torch
from safetensors.torch import save_file
from torch import Tensor

from modescope.config import Evaluation
from modescope.data.order import random_order
from modescope.data.prepared import Dataset
from modescope.data.splits import Split
from modescope.errors import UserError
from modescope.evaluation.features import Extractor, extract_features
from modescope.evaluation.floor import floor_images
from modescope.files import atomic_path
from modescope.models.weights import load_weights

FEATURES = "features.safetensors"


class Seen(NamedTuple):
    """images (N, C, H, W) uint8, labels (N,) int64, and the judge's features (N, D) and logits (N, K), float32."""

    images: Tensor
    labels: Tensor
    features: Tensor
    logits: Tensor

    def at(self, rows: Tensor) -> "Seen":
        """Some of them."""
        return Seen(*(tensor[rows] for tensor in self))


def see(images: Tensor, labels: Tensor, judge: Extractor) -> Seen:
    """Show images to the judge."""
    found = extract_features(images, judge)
    return Seen(images, labels, found.features, found.logits)


def cluster_centres(features: Tensor, labels: Tensor, clusters: int, seed: int) -> Tensor:
    """k-means within every class.

    Returns:
        (K * clusters, D): those of class k are rows k * clusters and following.
    Raises:
        UserError: a class has fewer images than it shall have clusters.
    """
    from sklearn.cluster import KMeans  # what only reads them does without

    centres = []
    for label in range(int(labels.max()) + 1):
        own = features[labels == label]
        if len(own) < clusters:
            raise UserError(f"class {label} has {len(own)} images for {clusters} clusters: lower inside.clusters")
        found = KMeans(clusters, n_init=1, random_state=seed).fit(own.double().numpy())
        centres.append(torch.from_numpy(found.cluster_centers_).float())
    return torch.cat(centres)


def save_seen(train: Seen, test: Seen, centres: Tensor, folder: Path) -> None:
    """Write what `RealImages.load` reads."""
    tensors = {"train": train.features, "train_logits": train.logits, "test": test.features, "test_logits": test.logits}
    with atomic_path(folder / FEATURES) as temporary:
        save_file(tensors | {"centres": centres}, temporary)


@dataclass(frozen=True)
class RealImages:
    """The real images that a run is looked at beside.

    Attributes:
        classes: names.
        trained: those that it was trained on.
        reference: those that its recall and coverage are of.
        test: test images in the proportions of `trained`.
        centres: (K * clusters, D), of `cluster_centres`.
    """

    classes: tuple[str, ...]
    trained: Seen
    reference: Seen
    test: Seen
    centres: Tensor

    @classmethod
    def load(cls, folder: Path, train: Dataset, test: Dataset, split: Split, settings: Evaluation) -> Self:
        """Of a run on `split`; `folder` holds what `save_seen` wrote. Raises UserError for other data."""
        kept = load_weights(folder / FEATURES)
        if len(kept["train"]) != len(train.images) or len(kept["test"]) != len(test.images):
            raise UserError(f"{folder / FEATURES} is of other images than {train.name}: run `dvc repro features`")
        seen_train = Seen(train.images, train.labels, kept["train"], kept["train_logits"])
        seen_test = Seen(test.images, test.labels, kept["test"], kept["test_logits"])
        against = split.measured_against(train).indices
        stored = random_order(len(against), settings.seed)[: settings.prdc_samples]  # as `build_reference` has them
        rows = replace(test, images=torch.arange(len(test.images)))  # so that the floor's images are row numbers
        floor = floor_images(rows, split, settings.num_samples, settings.seed).images
        return cls(
            train.classes,
            seen_train.at(split.indices),
            seen_train.at(against[stored]),
            seen_test.at(floor),
            kept["centres"],
        )

    def cells(self, features: Tensor) -> Tensor:
        """(N, D) -> (N,) int64: the clusters whose centres are nearest; a cluster's class is cell // clusters."""
        return torch.cdist(features, self.centres).argmin(1)

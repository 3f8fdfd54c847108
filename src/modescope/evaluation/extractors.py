"""The networks whose features are measured: the pipeline's own judge, and the Inception-v3 of published scores."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from modescope.data.archives import Archive, download, find
from modescope.data.batches import to_unit
from modescope.errors import UserError
from modescope.files import root, sha256
from modescope.models.classifiers import load_judge
from modescope.runs.folder import WEIGHTS_FILE

INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256, INCEPTION_BYTES = "6726825d", 2**27  # bytes at most
INCEPTION_URLS = (f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_WEIGHTS}",)


class Judge:
    """A trained classifier that never guided a generator: its features before the head, and its calibrated logits.

    Raises UserError if `folder` holds a guide, or no classifier.
    """

    name, suffix = "judge", "_classifier"

    def __init__(self, folder: Path, device: torch.device | str) -> None:
        self.network = load_judge(folder, device)
        self.device = device
        self.identity = sha256(folder / WEIGHTS_FILE)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) uint8 -> (B, D) features, (B, K) logits, float32."""
        return self.network.features(to_unit(images.to(self.device)))


class Inception:
    """FID's Inception-v3: pool features (2048), bias-free logits (1008), as torch-fidelity and torchmetrics score them.

    Images are resized to 299 x 299 by torchmetrics' anti-aliased bilinear filter, its default. torch-fidelity would
    unpickle the weights file without restriction; it is read with `weights_only` here and handed over as bytes of our
    own making.

    Args:
        weights: path of the weights file.
        expected_sha256: what its sha256 must start with.
    Raises UserError if the file has another hash.
    """

    name, suffix = "inception", ""

    def __init__(self, weights: Path, device: torch.device | str, expected_sha256: str = INCEPTION_SHA256) -> None:
        from torchmetrics.image.fid import NoTrainInceptionV3  # brings SciPy and Matplotlib: the judge does without

        if problem := sha256_fault(weights, expected_sha256):
            raise UserError(
                f"{weights} is not Inception's weights file ({problem}): delete it and fetch {INCEPTION_WEIGHTS} again"
            )
        rewritten = io.BytesIO()
        torch.save(torch.load(weights, map_location="cpu", weights_only=True), rewritten)
        rewritten.seek(0)
        network = NoTrainInceptionV3("inception-v3-compat", ["2048"], rewritten)
        self.network = network.to(device, memory_format=torch.channels_last)
        self.device = device
        self.identity = expected_sha256

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1 or 3, H, W) uint8 -> (B, 2048) features, (B, 1008) logits, float32; grey fills all three channels."""
        if images.shape[1] not in (1, 3):
            raise ValueError(f"expected images of 1 or 3 channels, received {tuple(images.shape)}")
        colour = images.to(self.device).expand(-1, 3, -1, -1)
        features = self.network(colour.contiguous(memory_format=torch.channels_last))
        return features, features @ self.network.fc.weight.T


def sha256_fault(path: Path, expected: str) -> str | None:
    """What is wrong with a file whose sha256 (hex) should start with `expected`; None if nothing."""
    found = sha256(path)
    return None if found.startswith(expected) else f"its sha256 starts with {found[:8]}, expected {expected}"


def find_inception_weights() -> Path:
    """`$MODESCOPE_INCEPTION` (relative: to the repository), else the mirror's or the cached file, else a download.

    Raises UserError that names the ways out if none of them has it.
    """
    if named := os.environ.get("MODESCOPE_INCEPTION"):
        path = root() / named
        if not path.is_file():
            raise UserError(f"MODESCOPE_INCEPTION={named}: {path} is no file; name {INCEPTION_WEIGHTS}, or unset it")
        return path

    def check(path: Path) -> str | None:
        return sha256_fault(path, INCEPTION_SHA256)

    archive = Archive(INCEPTION_WEIGHTS, INCEPTION_BYTES, check)
    found = find(archive)
    if found is not None:
        return found
    try:
        return download(archive, INCEPTION_URLS)
    except UserError as error:
        raise UserError(
            "the extractor `inception` needs its weights, and they cannot be fetched: "
            f"put {INCEPTION_WEIGHTS} into the mirror or data/raw/, or name it in MODESCOPE_INCEPTION, "
            "or take `inception` out of evaluation.extractors"
        ) from error


def load_extractors(names: Sequence[str], judge_folder: Path, device: torch.device | str) -> list[Judge | Inception]:
    """The extractors of `evaluation.extractors`, frozen, in eval mode.

    Raises UserError if the judge is not among them (precision, recall and class shares are its), or cannot be loaded.
    """
    if "judge" not in names:
        needs = "precision, recall, density, coverage and class shares come from it"
        raise UserError(f"evaluation.extractors must name `judge`: {needs}")
    makers = {
        "judge": lambda: Judge(judge_folder, device),
        "inception": lambda: Inception(find_inception_weights(), device),
    }
    return [makers[name]() for name in names]

"""airbench96 on CUDA: trained by the package `airbench` as it is, in half precision, on our images."""

import time
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from modescope.config import Classifier as Settings
from modescope.models.airbench import CifarLoader, make_net96, train96
from modescope.models.classifiers import Classifier
from modescope.training.loop import Timing

FOLDER = "cifar10"  # where the package looks for data, below the working folder
PACKAGE_SHAPE, PACKAGE_CLASSES = (3, 32, 32), 10


def package_trains(classifier: Classifier) -> bool:
    """Whether the package takes a classifier's images and its number of classes."""
    return classifier.image_shape == PACKAGE_SHAPE and classifier.layers[-2].out_features == PACKAGE_CLASSES


def train_with_package(classifier: Classifier, settings: Settings, images: Tensor, labels: Tensor) -> Timing:
    """Train an airbench96 classifier on images (N, 3, 32, 32) uint8 with labels (N,) in 0 ... 9.

    It cannot be interrupted and gone on with: the paper's 40 epochs take half a minute on a data centre's GPU.
    """
    widths = dict(zip(("block1", "block2", "block3"), settings.widths, strict=True))
    changes = {"flip": settings.flip, "translate": settings.translate_pixels, "cutout": settings.cutout_pixels}
    began = time.perf_counter()
    torch.manual_seed(settings.seed)
    with TemporaryDirectory() as scratch, chdir(scratch), torch.backends.cudnn.flags(enabled=True, deterministic=True):
        write_package_data(Path(FOLDER), images, labels)
        loader = CifarLoader(FOLDER, train=True, batch_size=settings.batch_size, aug=changes, altflip=True)
        net = train96(
            loader,
            epochs=settings.epochs,
            label_smoothing=settings.label_smoothing,
            learning_rate=settings.lr,
            weight_decay=settings.weight_decay,
            make_net=lambda: make_net96(widths),
            verbose=False,
        )
    classifier.layers.load_state_dict(net.state_dict())
    return Timing(time.perf_counter() - began, int(-(-len(loader) * settings.epochs // 1)))


def write_package_data(folder: Path, images: Tensor, labels: Tensor) -> None:
    """train.pt as the package caches CIFAR-10, images (N, 32, 32, 3); and a test.pt that it opens but does not use."""
    folder.mkdir()
    content = {
        "images": images.permute(0, 2, 3, 1).contiguous(),
        "labels": labels,
        "classes": list(range(PACKAGE_CLASSES)),
    }
    torch.save(content, folder / "train.pt")
    torch.save({**content, "images": content["images"][:1], "labels": labels[:1]}, folder / "test.pt")

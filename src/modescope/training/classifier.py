"""How a classifier is trained: optimiser, schedule, objective.

Every network takes airbench's decoupled hyper-parameters (Jordan 2024,
https://github.com/KellerJordan/cifar10-airbench): `lr` holds for 1024 examples whatever the momentum, `weight_decay`
for 1024 examples whatever the learning rate.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modescope.config import Classifier as Settings
from modescope.data.batches import BatchStream, to_unit
from modescope.data.order import random_order
from modescope.data.prepared import Dataset
from modescope.errors import UserError
from modescope.models.airbench import WHITENING_IMAGES, LookaheadState, whiten
from modescope.models.classifiers import Classifier, build_classifier
from modescope.training.augmentation import alternate_flips, cut_out, flip_half, translate
from modescope.training.objective import Batch, Objective, Phase, Training, count_steps

LOOKAHEAD_EVERY_STEPS = 5
FIRST_SHARE, PEAK_AT = 0.2, 0.23  # airbench's triangle: the first rate in units of the peak's, and the peak's place


class Recipe(NamedTuple):
    """What belongs to a network, not to a profile.

    Attributes:
        momentum: of SGD with Nesterov's rule.
        bias_scale: learning rate of BatchNorm's biases in units of the other weights'.
        last_share: last learning rate in units of the peak's.
        looks_ahead: the weights are pulled back to their running average, ever more weakly (Zhang et al. 2019).
    """

    momentum: float
    bias_scale: float
    last_share: float
    looks_ahead: bool


RECIPES = {
    "airbench96": Recipe(momentum=0.85, bias_scale=64.0, last_share=0.07, looks_ahead=True),
    "resnet": Recipe(momentum=0.9, bias_scale=1.0, last_share=0.0, looks_ahead=False),
    "digit-cnn": Recipe(momentum=0.9, bias_scale=1.0, last_share=0.0, looks_ahead=False),
}


def triangle(step: int, num_steps: int, last_share: float) -> float:
    """Learning rate of the 0-based `step` in units of its peak: up for 23 % of the steps, then down to `last_share`."""
    peak = max(1, int(PEAK_AT * num_steps))
    if step < peak:
        return FIRST_SHARE + (1 - FIRST_SHARE) * step / peak
    return 1 - (1 - last_share) * (step - peak) / max(1, num_steps - peak)


def build_optimizer(classifier: Classifier, settings: Settings) -> torch.optim.SGD:
    """SGD on a batch's mean loss, equal to airbench's on its sum."""
    recipe = RECIPES[settings.network]
    # `lr` and `weight_decay` hold for 1,024 examples whatever the momentum m: under a constant gradient g the buffer
    # is g / (1 - m), and airbench counts a Nesterov step as g plus the buffer, (1 + 1 / (1 - m)) g. Airbench sums the
    # loss over a batch; for the same step the mean needs batch_size times the learning rate.
    scale = settings.batch_size / (1024 * (1 + 1 / (1 - recipe.momentum)))
    lr, decay = settings.lr * scale, settings.weight_decay * scale
    norms = [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]
    biases = {id(norm.bias) for norm in norms}
    trained = [weight for weight in classifier.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if id(weight) in biases], "lr": lr * recipe.bias_scale},
        {"params": [weight for weight in trained if id(weight) not in biases], "lr": lr},
    ]
    # SGD multiplies the decay by the learning rate once more; the decoupled one must not depend on it
    groups = [{**group, "weight_decay": decay / group["lr"]} for group in groups]
    return torch.optim.SGD(groups, lr=lr, momentum=recipe.momentum, nesterov=True)


class ClassifierObjective(Objective):
    """Cross-entropy on augmented images, under a triangular learning rate.

    Args:
        classifier: on the training device, its temperature 1.
        settings: its section of params.yaml.
        num_images: images an epoch, a half of them mirrored beforehand (`flip_half`) if settings.flip is set.
    """

    capturable = False  # the step decides augmentation and learning rate

    def __init__(self, classifier: Classifier, settings: Settings, num_images: int):
        optimizer = build_optimizer(classifier, settings)
        self.phases = (Phase("classifier", classifier, optimizer),)
        self.classifier, self.settings, self.num_images = classifier, settings, num_images
        self.num_steps = count_steps(settings.epochs, num_images / settings.batch_size, drop_last=False)
        self.step = 0
        self._peak_rates = [group["lr"] for group in optimizer.param_groups]
        self._average = LookaheadState(classifier.layers) if RECIPES[settings.network].looks_ahead else None

    def before_step(self, step: int) -> None:
        """Set the learning rates of the 0-based `step`."""
        self.step, share = step, triangle(step, self.num_steps, RECIPES[self.settings.network].last_share)
        for group, peak in zip(self.phases[0].optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = share * peak

    def augment(self, images: Tensor) -> Tensor:
        """The batch of this step, (B, C, H, W) uint8, changed as the settings say; seed and step decide how."""
        settings = self.settings
        generator = torch.Generator(images.device).manual_seed(settings.seed * 1_000_003 + self.step)
        if settings.flip:
            images = alternate_flips(images, self.step * settings.batch_size, self.num_images)
        if settings.translate_pixels:
            images = translate(images, settings.translate_pixels, generator)
        if settings.cutout_pixels:
            images = cut_out(images, settings.cutout_pixels, generator)
        return images

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """The mean cross-entropy with smoothed labels, and the accuracy on the batch (fraction)."""
        logits = self.classifier(to_unit(self.augment(batch.images)))
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self.settings.label_smoothing)
        return {"loss": loss, "accuracy": (logits.detach().argmax(1) == batch.labels).float().mean()}

    @torch.no_grad()
    def after_step(self, step: int) -> dict[str, float]:
        """Every fifth step the average moves to the weights and replaces them; at the end only the latter."""
        if self._average is not None and step % LOOKAHEAD_EVERY_STEPS == 0:
            self._average.update(self.classifier.layers, decay=0.95**5 * (step / self.num_steps) ** 3)
        if self._average is not None and step == self.num_steps:
            self._average.update(self.classifier.layers, decay=1.0)
        return {}

    def extra_state(self) -> dict[str, Any]:
        return {} if self._average is None else {"average": self._average.net_ema}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self._average is not None:
            for kept, saved in zip(self._average.net_ema.values(), state["average"].values(), strict=True):
                kept.copy_(saved)

    def weights(self) -> dict[str, Tensor]:
        return self.classifier.state_dict()


def hold_out(train_set: Dataset, settings: Settings, device: torch.device) -> tuple[Batch, Batch]:
    """What to train on, and `settings.calibration_images` to calibrate with, drawn by the settings' seed; on `device`.

    Raises UserError if nothing is left to train on.
    """
    count, held = len(train_set.labels), settings.calibration_images
    if held >= count:
        raise UserError(
            f"calibration_images {held} leaves none of {train_set.name}'s {count} images to train on: lower it"
        )
    order = random_order(count, settings.seed)
    trained, held_out = (
        Batch(train_set.images[rows].to(device), train_set.labels[rows].to(device))
        for rows in (order[held:], order[:held])
    )
    return trained, held_out


def new_classifier(settings: Settings, train_set: Dataset, device: torch.device) -> Classifier:
    """An untrained classifier for the dataset's images and classes. Raises UserError if the network takes others."""
    torch.manual_seed(settings.seed)
    shape = tuple(train_set.images.shape[1:])
    try:
        num_classes = len(train_set.classes)
        classifier = build_classifier(settings.network, settings.widths, num_classes, shape[0], settings.role)
    except ValueError as error:
        raise UserError(f"params.yaml: {error}") from None
    if classifier.image_shape != shape:
        raise UserError(
            f"{settings.network} takes images {classifier.image_shape}, {train_set.name} has {shape}: "
            "choose another network"
        )
    return classifier.to(device)


def classifier_training(classifier: Classifier, settings: Settings, images: Tensor, labels: Tensor) -> Training:
    """A new classifier's training on images (N, C, H, W) uint8 with labels (N,), on its device."""
    if settings.network == "airbench96":
        whiten(classifier.layers, classifier.normalise(to_unit(images[:WHITENING_IMAGES])))
    if settings.flip:
        images = flip_half(images, torch.Generator(images.device).manual_seed(settings.seed))
    objective = ClassifierObjective(classifier, settings, len(images))
    return Training(objective, BatchStream(images, labels, settings.batch_size, settings.seed), objective.num_steps)

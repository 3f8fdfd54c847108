"""How far a classifier's confidence can be trusted (Guo et al. 2017, "On Calibration of Modern Neural Networks").

Shapes: N images, K classes. Logits (N, K) float, labels (N,) int64, on one device.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from modescope.data.batches import to_unit
from modescope.models.classifiers import Classifier

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
BATCH_SIZE = 500


@torch.no_grad()
def predict(classifier: Classifier, images: Tensor) -> Tensor:
    """Logits (N, K) float32 of images (N, C, H, W) uint8 in eval mode."""
    classifier.eval()
    device = classifier.temperature.device
    return torch.cat([classifier(to_unit(batch.to(device))) for batch in images.split(BATCH_SIZE)])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T in [0.05, 20] for which softmax(logits / T) gives the labels the highest likelihood (section 4.2).

    Fit it on images that the classifier was not trained on; a classifier that errs on none of them has no finite
    optimum, hence the bounds.
    """
    from scipy.optimize import minimize_scalar  # what only predicts does without

    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(logits / math.exp(log_temperature), labels).item()

    bounds = (math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def expected_calibration_error(logits: Tensor, labels: Tensor, num_bins: int = 15) -> float:
    """Mean distance of confidence from accuracy over bins of equal width, weighted by their images (equation 5).

    Returns:
        a fraction.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    surplus = confidence - (predicted == labels).double()
    bins = (confidence * num_bins).ceil().long().clamp(1, num_bins) - 1
    per_bin = torch.zeros(num_bins, dtype=torch.double, device=logits.device).index_add_(0, bins, surplus)
    return (per_bin.abs().sum() / len(labels)).item()


def classification_scores(logits: Tensor, labels: Tensor, temperature: float) -> dict[str, float | int | list[float]]:
    """What the metrics file says of a classifier.

    Args:
        logits: of test images, before calibration; every class must occur among the labels.
        temperature: fitted elsewhere.

    Returns:
        accuracy and accuracy_per_class (fractions, class order), nll (nats, calibrated), ece_before and ece_after
        calibration (fractions), temperature, num_test.
    """
    hits = (logits.argmax(1) == labels).double()
    per_class = [hits[labels == label].mean().item() for label in range(logits.shape[1])]
    calibrated = logits.double() / temperature
    return {
        "accuracy": hits.mean().item(),
        "accuracy_per_class": per_class,
        "nll": F.cross_entropy(calibrated, labels).item(),
        "ece_before": expected_calibration_error(logits, labels),
        "ece_after": expected_calibration_error(calibrated, labels),
        "temperature": temperature,
        "num_test": len(labels),
    }

"""Long-tailed training: what is left of the many, the medium and the few, against the balanced training set.

In UTLO (Khorram et al. 2024) the classes are the labels that an image was generated for; images without a label are
sorted by the judge.
"""

from typing import Any

import torch
from torch import Tensor

from modescope.data.splits import frequency_groups
from modescope.evaluation.features import Features
from modescope.evaluation.frechet import feature_sums, frechet_distance
from modescope.evaluation.kernel import kernel_distance
from modescope.evaluation.prdc import Neighbours


def tail_metrics(
    seen: Features,
    labels: Tensor | None,
    real: Tensor,
    real_labels: Tensor,
    near: Neighbours,
    training_counts: Tensor,
    seed: int,
) -> dict[str, Any]:
    """Scores of every group, in the judge's features.

    Args:
        seen: what the judge sees in N generated images.
        labels: (N,) int64, the classes that they are meant to be of; None sorts them by the judge.
        real, real_labels: (M, D) and (M,), features and classes of balanced reference images.
        near: of the first reference images, as many as were compared.
        training_counts: (K,) int64, of the long-tailed split.
        seed: of the kernel distance's draw.

    Returns:
        for each GROUP of many, medium, few: num_GROUP (generated images); fid_classifier_GROUP and kid_classifier_GROUP
        (unbiased, over all images of the smaller side), both left out for fewer than two images; recall_GROUP and
        coverage_GROUP (of the group's real images, by all generated ones); and recall_of_class (K,), the same by class.
    """
    sorted_by = seen.logits.argmax(1) if labels is None else labels
    compared = real_labels[: len(near.recalled)]
    metrics: dict[str, Any] = {}
    for group, classes in frequency_groups(training_counts).items():
        ours, theirs = seen.features[torch.isin(sorted_by, classes)], real[torch.isin(real_labels, classes)]
        metrics[f"num_{group}"] = len(ours)
        if len(ours) >= 2:
            metrics[f"fid_classifier_{group}"] = frechet_distance(feature_sums(theirs), ours)
            metrics[f"kid_classifier_{group}"], _ = kernel_distance(theirs, ours, 1, min(len(ours), len(theirs)), seed)
        inside = torch.isin(compared, classes)
        metrics[f"recall_{group}"] = near.recalled[inside].double().mean().item()
        metrics[f"coverage_{group}"] = near.covered[inside].double().mean().item()
    metrics["recall_of_class"] = [
        near.recalled[compared == label].double().mean().item() for label in range(len(training_counts))
    ]
    return metrics

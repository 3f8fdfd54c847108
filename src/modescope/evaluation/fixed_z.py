"""Fixed latent vectors: does the label alone decide the class? (report 2, section 8.4, counted instead of looked at)"""

import torch

from modescope.evaluation.features import Extractor, extract_features
from modescope.evaluation.samplers import Sampler


def distinct_classes(sampler: Sampler, extractor: Extractor, num_classes: int, count: int, seed: int) -> list[int]:
    """Show each of `count` latent vectors with every label, and count the classes that the judge sees in its images.

    Args:
        sampler: gives the same latent vectors for the same seed and count, whatever the labels.
        num_classes: K, the labels 0 ... K - 1.
        count: >= 1.
        seed: of the latent vectors.

    Returns:
        `count` numbers in 1 ... K; K where every label made another class.
    """
    images = torch.cat(
        [sampler.sample(count, seed, torch.full((count,), label)).images for label in range(num_classes)]
    )
    judged = extract_features(images, extractor).logits.argmax(1).view(num_classes, count)
    return [len(classes.unique()) for classes in judged.T]

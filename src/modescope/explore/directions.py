"""Principal directions of a generator's latent space."""

import torch
from torch import Tensor, nn

from modescope.models.cgan import CganGenerator


@torch.no_grad()
def principal_directions(generator: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """Along which normal noise moves the units of the generator's first linear layer most (SeFa, Shen and Zhou 2021).

    In closed form: the eigenvectors of W^T W, W being that layer's weights for z; in the mean over the labels where
    these multiply z. For normal z they are GANSpace's principal components of the layer before its nonlinearity
    (Haerkoenen et al. 2020).

    Returns:
        (M, D), orthonormal, the largest entry of each positive, M being `count` or less; their shares (M,) of the
        layer's variance, falling.
    """
    first = next(layer for layer in generator.modules() if isinstance(layer, nn.Linear))
    weight = first.weight[:, : generator.latent_dim].double()
    gram = weight.T @ weight
    if isinstance(generator, CganGenerator) and generator.num_classes is not None and generator.labels == "multiply":
        codes = generator.embedding.weight.double()
        gram = gram * (codes.T @ codes)
    variances, directions = torch.linalg.eigh(gram)
    largest = directions.abs().argmax(0)
    directions = directions * directions.gather(0, largest[None]).sign()
    return directions.T.flip(0)[:count], (variances / variances.sum()).flip(0)[:count]

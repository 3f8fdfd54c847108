"""pythae's samplers of VAEs: codes of the standard normal, or of a mixture fitted to the training images' codes."""

import numpy as np
import torch
from pythae.models import VAE
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler
from sklearn.mixture import GaussianMixture
from torch import Tensor

from modescope.config import Vae
from modescope.data.batches import to_uint8
from modescope.data.order import random_order
from modescope.evaluation.samplers import BATCH_SIZE, Samples, check_wanted
from modescope.models.vae import build_vae


class VaeSampler:
    """A pythae sampler: codes from the standard normal, or from a mixture fitted to the training images' codes.

    pythae puts every sampler on CUDA where there is one; `device` decides instead.
    """

    num_classes = None

    def __init__(self, sampler: NormalSampler | GaussianMixtureSampler, device: torch.device | str = "cpu"):
        self.sampler = sampler
        sampler.device = sampler.model.device = torch.device(device)
        sampler.model.to(device).eval()

    @torch.no_grad()
    def sample(self, count: int, seed: int, labels: Tensor | None = None) -> Samples:
        check_wanted(labels, self.num_classes)
        if isinstance(self.sampler, GaussianMixtureSampler):
            self.sampler.gmm.random_state = np.random.RandomState(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            images = self.sampler.sample(count, batch_size=BATCH_SIZE)
        mixed = random_order(count, seed)  # a mixture draws component by component
        return Samples(to_uint8(images, low=0.0).cpu()[mixed], None)


def fit_mixture(model: VAE, images: Tensor, components: int, seed: int) -> GaussianMixtureSampler:
    """pythae's mixture sampler, fitted by the seed to the codes of images (N, 3, 32, 32) float in [0, 1]."""
    sampler = GaussianMixtureSampler(model.eval(), GaussianMixtureSamplerConfig(n_components=components))
    state = np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)  # scikit-learn falls back on NumPy's global generator, pythae passes it none
        sampler.fit(images)
        np.random.set_state(state)
    return sampler


def mixture_weights(sampler: GaussianMixtureSampler) -> dict[str, Tensor]:
    """The fitted mixture as tensors: weights (K,), means (K, D), covariances (K, D, D), float64."""
    gmm = sampler.gmm
    fitted = {"weights": gmm.weights_, "means": gmm.means_, "covariances": gmm.covariances_}
    return {f"mixture.{name}": torch.from_numpy(np.ascontiguousarray(value)) for name, value in fitted.items()}


def load_vae(params: dict, weights: dict[str, Tensor], device: torch.device | str) -> VaeSampler:
    """The sampler of a run's VAE: by its mixture, where one stands among the weights."""
    model = _load_model(params, weights)
    return VaeSampler(_load_mixture(model, weights) if "mixture.weights" in weights else NormalSampler(model), device)


def _load_model(params: dict, weights: dict[str, Tensor]) -> VAE:
    model = build_vae(Vae(**params["imbalance"]["vae"]).latent_dim)
    model.load_state_dict({name: value for name, value in weights.items() if not name.startswith("mixture.")})
    return model


def _load_mixture(model: VAE, weights: dict[str, Tensor]) -> GaussianMixtureSampler:
    components = len(weights["mixture.weights"])
    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=components))
    sampler.gmm = GaussianMixture(components)
    for name in ("weights", "means", "covariances"):
        setattr(sampler.gmm, f"{name}_", weights[f"mixture.{name}"].numpy())
    sampler.is_fitted = True
    return sampler

"""The VAE objective: a pythae model trained by the one loop under the rules of pythae's own trainer."""

from copy import deepcopy
from typing import Any

import torch
from pythae.models import VAE
from torch import Tensor

from modescope.config import Vae
from modescope.data.batches import BatchStream, to_uint8, to_unit
from modescope.data.order import random_order
from modescope.errors import UserError
from modescope.models.vae import build_vae
from modescope.training.objective import PREVIEW_COUNT, Batch, Objective, Phase, Training, adam_phase, count_steps


def vae_losses(model: VAE, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, reconstruction and KL of `model.forward`; codes and losses are float32 in any arithmetic."""
    code = model.encoder(images)
    mean, log_variance = code.embedding.float(), code.log_covariance.float()
    z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
    reconstruction = model.decoder(z)["reconstruction"].float()
    return model.loss_function(reconstruction, images, mean, log_variance, z)


class VaeObjective(Objective):
    """A pythae model and the rule of its trainer: the weights of the epoch with the lowest eval loss are kept.

    Args:
        phase: the model and its optimiser.
        eval_images: (M, 3, 32, 32) uint8, held out from training.
        eval_batch_size: images a forward pass.
        steps_per_epoch: after so many steps the eval loss is taken.
    """

    def __init__(self, phase: Phase, eval_images: Tensor, eval_batch_size: int, steps_per_epoch: int):
        self.phases = (phase,)
        self.eval_images, self.eval_batch_size, self.steps_per_epoch = eval_images, eval_batch_size, steps_per_epoch
        self.best_loss, self.best_weights = float("inf"), None
        self._preview_z = torch.randn(PREVIEW_COUNT, self.model.latent_dim, generator=torch.Generator().manual_seed(0))

    @property
    def model(self) -> VAE:
        return self.phases[0].module

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """loss = reconstruction + kl, each averaged over the batch (nats, up to the constant of the Gaussian)."""
        loss, reconstruction, kl = vae_losses(self.model, to_unit(batch.images))
        return {"loss": loss, "reconstruction": reconstruction.detach(), "kl": kl.detach()}

    @torch.no_grad()
    def eval_loss(self) -> float:
        """The mean over eval batches of the loss in eval mode, as pythae's trainer takes it."""
        self.model.eval()
        batches = self.eval_images.split(self.eval_batch_size)
        losses = [vae_losses(self.model, to_unit(images))[0] for images in batches]
        self.model.train()
        return torch.stack(losses).mean().item()

    def after_step(self, step: int) -> dict[str, float]:
        if step % self.steps_per_epoch:
            return {}
        loss = self.eval_loss()
        if loss < self.best_loss:
            self.best_loss, self.best_weights = loss, deepcopy(self.model.state_dict())
        return {"eval/loss": loss}

    @torch.no_grad()
    def samples(self) -> Tensor:
        self.model.eval()
        images = self.model.decoder(self._preview_z.to(self.eval_images.device))["reconstruction"]
        self.model.train()
        return to_uint8(images, low=0.0).unsqueeze(1)

    @torch.no_grad()
    def preview(self) -> dict[str, Tensor]:
        """ "samples" of the standard normal, and "reconstructions": pairs of an eval image and its reconstruction."""
        self.model.eval()
        originals = self.eval_images[: PREVIEW_COUNT // 2]
        codes = self.model.encoder(to_unit(originals)).embedding
        copies = to_uint8(self.model.decoder(codes)["reconstruction"], low=0.0)
        self.model.train()
        return {
            "samples": self.samples().flatten(0, 1),
            "reconstructions": torch.stack([originals, copies], 1).flatten(0, 1),
        }

    def extra_state(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss, "best_weights": self.best_weights}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.best_loss, self.best_weights = state["best_loss"], state["best_weights"]

    def weights(self) -> dict[str, Tensor]:
        """The best epoch's weights; the last ones if no epoch was completed."""
        return self.best_weights or self.model.state_dict()


def vae_training(settings: Vae, images: Tensor, labels: Tensor, seed: int) -> Training:
    """Study 1's VAE on images (N, 3, 32, 32) uint8 with labels (N,), on their device, some of them held out.

    Raises UserError if it is none of them.
    """
    order = random_order(len(images), seed).to(images.device)
    num_eval = int(len(images) * settings.eval_fraction)
    if num_eval == 0:
        raise UserError(f"eval_fraction {settings.eval_fraction} of {len(images)} images is none: raise it")
    train, held_out = order[num_eval:], order[:num_eval]
    stream = BatchStream(images[train], labels[train], settings.batch_size, seed)
    torch.manual_seed(seed)
    model = build_vae(settings.latent_dim).to(images.device, memory_format=torch.channels_last)
    phase = adam_phase("vae", model, settings.lr, settings.betas, weight_decay=settings.weight_decay)
    epoch = count_steps(1, stream.steps_per_epoch, drop_last=False)  # as long as pythae's
    objective = VaeObjective(phase, images[held_out], settings.batch_size, epoch)
    return Training(objective, stream, count_steps(settings.epochs, epoch, settings.max_steps))

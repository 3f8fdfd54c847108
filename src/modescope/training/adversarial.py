"""The adversarial objective: every GAN of the project is one generator, one discriminator, a loss, a prior and guidance terms."""

from collections.abc import Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from modescope.data.batches import to_signed, to_uint8
from modescope.training.loop import PREVIEW_COUNT, Batch, Phase
from modescope.training.losses import AdversarialLoss
from modescope.training.priors import Prior

PREVIEWS_PER_CLASS = 8


def preview_latents(prior: Prior, device: torch.device) -> Tensor:
    """The latent vectors of the preview, always the same: 64, or eight of each class, the classes in turn."""
    generator = torch.Generator(device).manual_seed(0)
    if prior.num_classes is None:
        return prior.sample(PREVIEW_COUNT, device, generator).z
    labels = torch.arange(prior.num_classes, device=device).repeat(PREVIEWS_PER_CLASS)
    return prior.sample(len(labels), device, generator, labels).z


class GuidanceTerm(Protocol):
    """A term added to the generator's loss: a name and a scalar of the fake images and their labels."""

    name: str

    def __call__(self, fake_images: Tensor, labels: Tensor | None) -> Tensor: ...


@contextmanager
def frozen(module: nn.Module):
    """Inside, `module`'s weights record no gradient (gradients still flow through it to its input)."""
    module.requires_grad_(False)
    try:
        yield module
    finally:
        module.requires_grad_(True)


def watch_gradient(images: Tensor) -> tuple[Tensor, Tensor]:
    """`images` once more, and a scalar that backward fills with the L2 norm of the gradient that comes back through this copy."""
    seen, norm = images.view_as(images), torch.zeros((), device=images.device)

    def keep(gradient: Tensor) -> None:
        norm.copy_(gradient.float().norm())

    seen.register_hook(keep)
    return seen, norm


class AdversarialObjective:
    """A generator against a discriminator (Goodfellow et al. 2014).

    Args:
        discriminator, generator: phases named "d" and "g".
        loss: pair of functions of logits.
        prior: draws z (and labels).
        d_loss_scale: factor on the discriminator's loss.
        guidance: terms added to the generator's loss.
        ema_decay: per-step decay of the averaged generator that samples are drawn from; None for none.

    With one step of each phase per iteration both see the same z, so the fake images are computed once.
    """

    def __init__(
        self,
        discriminator: Phase,
        generator: Phase,
        loss: AdversarialLoss,
        prior: Prior,
        d_loss_scale: float = 1.0,
        guidance: Sequence[GuidanceTerm] = (),
        ema_decay: float | None = None,
    ):
        self.phases = (discriminator, generator)
        self.loss, self.prior, self.d_loss_scale, self.guidance = loss, prior, d_loss_scale, tuple(guidance)
        self.ema_decay = ema_decay
        self.averaged = None if ema_decay is None else deepcopy(generator.module).eval().requires_grad_(False)
        self._shares_fakes = discriminator.steps == generator.steps == 1
        self._shared: tuple[Tensor, Tensor | None] | None = None
        self._preview_z = preview_latents(prior, self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.generator.parameters()).device

    @property
    def discriminator(self) -> nn.Module:
        return self.phases[0].module

    @property
    def generator(self) -> nn.Module:
        return self.phases[1].module

    @property
    def sampled_generator(self) -> nn.Module:
        """The generator that samples are drawn from: the average where there is one."""
        return self.generator if self.averaged is None else self.averaged

    def _generate(self, count: int) -> tuple[Tensor, Tensor | None]:
        latents = self.prior.sample(count, self._device)
        return self.generator(latents.z), latents.labels

    def before_step(self, step: int) -> None:
        """Constant learning rates."""

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Phase "d": loss and both mean probabilities D(x), D(G(z)); phase "g": loss, and under guidance its terms.

        With the terms come the norms of the gradients, at the fake images, of the whole loss and of each of them.
        """
        return self._d_losses(batch) if phase == "d" else self._g_losses(batch)

    def _d_losses(self, batch: Batch) -> dict[str, Tensor]:
        with torch.set_grad_enabled(self._shares_fakes):
            fakes = self._generate(len(batch.images))
        self._shared = fakes if self._shares_fakes else None
        real_logits = self.discriminator(to_signed(batch.images)).float()
        fake_logits = self.discriminator(fakes[0].detach()).float()
        loss = self.d_loss_scale * self.loss.discriminator(real_logits=real_logits, fake_logits=fake_logits)
        real, fake = real_logits.detach().sigmoid().mean(), fake_logits.detach().sigmoid().mean()
        return {"loss": loss, "real": real, "fake": fake}

    def _g_losses(self, batch: Batch) -> dict[str, Tensor]:
        images, labels = self._shared or self._generate(len(batch.images))
        self._shared = None
        if not self.guidance:
            return {"loss": self._adversarial(images)}
        norms = {"gradient": watch_gradient(images)}
        seen = {name: watch_gradient(norms["gradient"][0]) for name in ("adversarial", *(term.name for term in self.guidance))}
        terms = {"adversarial": self._adversarial(seen["adversarial"][0])}
        terms |= {term.name: term(seen[term.name][0], labels) for term in self.guidance}
        norms |= {f"{name}_gradient": watched for name, watched in seen.items()}
        return {
            "loss": sum(terms.values()),
            **{name: value.detach() for name, value in terms.items()},
            **{name: norm for name, (_, norm) in norms.items()},
        }

    def _adversarial(self, images: Tensor) -> Tensor:
        with frozen(self.discriminator):
            return self.loss.generator(fake_logits=self.discriminator(images).float())

    @torch.no_grad()
    def after_step(self, step: int) -> dict[str, float]:
        """Move the averaged generator towards the trained one; BatchNorm statistics are copied."""
        if self.averaged is not None:
            for mean, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(new, 1 - self.ema_decay)
            for kept, new in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
                kept.copy_(new)
        return {}

    @torch.no_grad()
    def preview(self) -> dict[str, Tensor]:
        """The same latent vectors through the generator in eval mode: "samples" (N, C, H, W) uint8."""
        training = self.sampled_generator.training
        images = self.sampled_generator.eval()(self._preview_z)
        self.sampled_generator.train(training)
        return {"samples": to_uint8(images, low=-1.0)}

    def extra_state(self) -> dict[str, Any]:
        return {} if self.averaged is None else {"averaged": self.averaged.state_dict()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])

    def weights(self) -> dict[str, Tensor]:
        """Both networks and the prior's state, names prefixed; the generator is the one that samples are drawn from."""
        networks = {"generator": self.sampled_generator, "discriminator": self.discriminator}
        states = {name: net.state_dict() for name, net in networks.items()} | {"prior": self.prior.state()}
        return {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}

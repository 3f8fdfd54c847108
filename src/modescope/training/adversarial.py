"""The adversarial objective: a generator, a discriminator, a loss, a prior and guidance terms make every GAN here."""

from collections.abc import Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from modescope.data.batches import to_signed, to_uint8
from modescope.training.losses import AdversarialLoss, gradient_penalty
from modescope.training.objective import PREVIEW_COUNT, Batch, Objective, Phase, adam_phase
from modescope.training.priors import FIXED_LATENTS, Latents, Prior, fixed_latents

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def preview_latents(prior: Prior, device: torch.device) -> Latents:
    """The latent vectors of the preview, always the same: 64, or eight of each class, the classes in turn."""
    generator = torch.Generator(device).manual_seed(0)
    if prior.num_classes is None:
        return prior.sample(PREVIEW_COUNT, device, generator)
    labels = prior.known_labels().to(device).repeat(FIXED_LATENTS)
    return prior.sample(len(labels), device, generator, labels)


def adversarial_phases(
    discriminator: nn.Module,
    generator: nn.Module,
    settings: Any,
    n_critic: int = 1,
    n_gen: int = 1,
    falls_for: int | None = None,
) -> tuple[Phase, Phase]:
    """Phases "d" and "g": Adam with the rates and betas of `settings`.

    Args:
        settings: a section with lr_discriminator, lr_generator, betas.
        n_critic, n_gen: updates of the discriminator and of the generator an iteration.
        falls_for: iterations in which both rates fall to 0; None: they stay.
    """
    phase = partial(adam_phase, betas=settings.betas, falls_for=falls_for)
    return (
        phase("d", discriminator, settings.lr_discriminator, steps=n_critic),
        phase("g", generator, settings.lr_generator, steps=n_gen),
    )


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
    """`images` once more, and a scalar that backward fills with the L2 norm of the gradient through this copy."""
    seen, norm = images.view_as(images), torch.zeros((), device=images.device)

    def keep(gradient: Tensor) -> None:
        norm.copy_(gradient.float().norm())

    seen.register_hook(keep)
    return seen, norm


def discriminate(discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    """(N,) float32 logits of images, and of their labels where the discriminator takes any."""
    return (discriminator(images) if labels is None else discriminator(images, labels)).float()


def both_logits(discriminator: nn.Module, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits of real and of fake images, both of `labels`: in one pass, unless BatchNorm would mix their statistics."""
    if any(isinstance(module, BATCH_NORMS) for module in discriminator.modules()):
        return discriminate(discriminator, real, labels), discriminate(discriminator, fake, labels)
    logits = discriminate(discriminator, torch.cat([real, fake]), None if labels is None else labels.repeat(2))
    return logits[: len(real)], logits[len(real) :]


class AdversarialObjective(Objective):
    """A generator against a discriminator (Goodfellow et al. 2014).

    Args:
        discriminator, generator: phases named "d" and "g".
        loss: pair of functions of logits, with its scale and penalty.
        prior: draws z (and labels).
        guidance: terms added to the generator's loss.
        ema_decay: per-step decay of the averaged generator that samples are drawn from; None for none.
        conditional: both networks are given labels, too: the batch's own in a step of the discriminator, the prior's in
            one of the generator.
        share_fakes: with one step of each phase per iteration both see the same fake images, which are computed once.
    """

    def __init__(
        self,
        discriminator: Phase,
        generator: Phase,
        loss: AdversarialLoss,
        prior: Prior,
        guidance: Sequence[GuidanceTerm] = (),
        ema_decay: float | None = None,
        conditional: bool = False,
        share_fakes: bool = True,
    ):
        self.phases = (discriminator, generator)
        self.loss, self.prior, self.guidance, self.conditional = loss, prior, tuple(guidance), conditional
        self.averaged = None
        if ema_decay is not None:
            self.averaged = deepcopy(generator.module).eval().requires_grad_(False)
            self._move_average = get_ema_multi_avg_fn(ema_decay)  # one kernel for all weights
        self._shares_fakes = share_fakes and discriminator.steps == generator.steps == 1
        self._shared: tuple[Tensor, Tensor | None] | None = None
        self._previews = {"samples": preview_latents(prior, self._device)}
        if conditional:
            self._previews["fixed_z"] = fixed_latents(prior, self._device)

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

    def _generate(self, count: int, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        latents = self.prior.sample(count, self._device, labels=labels)
        return self.generator(*latents.inputs(self.conditional)), latents.labels

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Phase "d": loss and both mean probabilities D(x), D(G(z)); phase "g": loss, and under guidance its terms.

        With the terms come the norms of the gradients, at the fake images, of the whole loss and of each of them.
        """
        return self._d_losses(batch) if phase == "d" else self._g_losses(batch)

    def _d_losses(self, batch: Batch) -> dict[str, Tensor]:
        labels = batch.labels if self.conditional else None
        with torch.set_grad_enabled(self._shares_fakes):
            fakes = self._generate(len(batch.images), labels)
        self._shared = fakes if self._shares_fakes else None
        real, fake = to_signed(batch.images), fakes[0].detach()
        real_logits, fake_logits = both_logits(self.discriminator, real, fake, labels)
        loss = self.loss.d_loss_scale * self.loss.discriminator(real_logits=real_logits, fake_logits=fake_logits)
        scores = {
            "real": self.loss.score(real_logits.detach()).mean(),
            "fake": self.loss.score(fake_logits.detach()).mean(),
        }
        if not self.loss.penalty_weight:
            return {"loss": loss, **scores}
        penalty = self._penalty(real, fake.float(), labels)
        return {"loss": loss + self.loss.penalty_weight * penalty, **scores, "penalty": penalty.detach()}

    def _penalty(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """In float32, whatever the precision: it is a gradient's gradient."""
        mix = torch.rand(len(real), device=real.device)
        with torch.autocast(real.device.type, enabled=False):
            return gradient_penalty(partial(discriminate, self.discriminator, labels=labels), real, fake, mix)

    def _g_losses(self, batch: Batch) -> dict[str, Tensor]:
        images, labels = self._shared or self._generate(len(batch.images))
        self._shared = None
        if not self.guidance:
            return {"loss": self._adversarial(images, labels)}
        norms = {"gradient": watch_gradient(images)}
        seen = {
            name: watch_gradient(norms["gradient"][0])
            for name in ("adversarial", *(term.name for term in self.guidance))
        }
        terms = {"adversarial": self._adversarial(seen["adversarial"][0], labels)}
        terms |= {term.name: term(seen[term.name][0], labels) for term in self.guidance}
        norms |= {f"{name}_gradient": watched for name, watched in seen.items()}
        return {
            "loss": sum(terms.values()),
            **{name: value.detach() for name, value in terms.items()},
            **{name: norm for name, (_, norm) in norms.items()},
        }

    def _adversarial(self, images: Tensor, labels: Tensor | None) -> Tensor:
        with frozen(self.discriminator):
            return self.loss.generator(
                fake_logits=discriminate(self.discriminator, images, labels if self.conditional else None)
            )

    @torch.no_grad()
    def finish_iteration(self) -> None:
        """Move the averaged generator towards the trained one; BatchNorm statistics are copied."""
        if self.averaged is not None:
            self._move_average([*self.averaged.parameters()], [*self.generator.parameters()], None)
            for kept, new in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
                kept.copy_(new)

    def samples(self) -> Tensor:
        classes = 1 if self.prior.num_classes is None else len(self.prior.known_labels())
        return self._shown("samples").unflatten(0, (-1, classes))

    def preview(self) -> dict[str, Tensor]:
        """The same latent vectors each time, as (N, C, H, W) uint8: "samples", and "fixed_z" where there are labels."""
        return {name: self._shown(name) for name in self._previews}

    @torch.no_grad()
    def _shown(self, name: str) -> Tensor:
        """Images of one preview, by the generator that samples are drawn from in eval mode."""
        generator, latents = self.sampled_generator, self._previews[name]
        training = generator.training
        images = generator.eval()(*latents.inputs(self.conditional))
        generator.train(training)
        return to_uint8(images, low=-1.0)

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

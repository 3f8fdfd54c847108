"""Study 1b: a VAE's encoder feeds a GAN's generator (report 1, section 7), both trained as one."""

from typing import Any

import torch
from pythae.models import VAE
from torch import Tensor, nn

from modescope.config.imbalance import Gan, Hybrid, Vae
from modescope.data.batches import to_uint8, to_unit
from modescope.data.order import random_order
from modescope.training.adversarial import AdversarialObjective, frozen
from modescope.training.gan import gan_training
from modescope.training.objective import PREVIEW_COUNT, Batch, Objective, Phase, Training, adam_phase
from modescope.training.priors import Latents, NormalPrior
from modescope.training.vae import vae_losses

GRID_COLUMNS = 8


class CodePrior(NormalPrior):
    """In place of noise, the codes `z` (N, D) that a VAE's decoder was last given, with their gradient."""

    def __init__(self, latent_dim: int, decoder: nn.Module):
        super().__init__(latent_dim)
        self.z: Tensor | None = None
        decoder.register_forward_pre_hook(self._keep)

    def _keep(self, _decoder: nn.Module, inputs: tuple[Tensor]) -> None:
        self.z = inputs[0]

    def sample(
        self, count: int, device: torch.device, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Latents:
        """All codes of the batch at hand, without their gradient, whatever is asked for."""
        return Latents(self.z.detach(), None)


class HybridObjective(Objective):
    """Phase "vae": the ELBO and, through the codes, the generator's loss; "d" and "g": a GAN whose z are these codes.

    The codes z = mu + sigma * eps of a batch are drawn once, in phase "vae"; samples are drawn from N(0, I).

    Args:
        vae: phase of the VAE. It keeps its decoder: the generator is a second one, trained by the discriminator alone.
        adversarial: the GAN of as many latent dimensions.
        adversarial_weight: of the generator's loss in the VAE's.
        held_out: (M, 3, 32, 32) uint8, for the preview.
    """

    def __init__(self, vae: Phase, adversarial: AdversarialObjective, adversarial_weight: float, held_out: Tensor):
        self.phases = (vae, *adversarial.phases)
        self.vae, self.adversarial = vae.module, adversarial
        self.adversarial_weight, self.held_out = adversarial_weight, held_out
        self.codes = adversarial.prior = CodePrior(self.vae.latent_dim, self.vae.decoder)

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Phase "vae": loss, reconstruction, kl and adversarial; "d" and "g": as of `AdversarialObjective`."""
        if phase != "vae":
            return self.adversarial.losses(phase, batch)
        elbo, reconstruction, kl = vae_losses(self.vae, to_unit(batch.images))
        with frozen(self.adversarial.generator) as generator, frozen(self.adversarial.discriminator) as discriminator:
            adversarial = self.adversarial.loss.generator(fake_logits=discriminator(generator(self.codes.z)).float())
        parts = {"reconstruction": reconstruction, "kl": kl, "adversarial": adversarial}
        return {
            "loss": elbo + self.adversarial_weight * adversarial,
            **{name: part.detach() for name, part in parts.items()},
        }

    def finish_iteration(self) -> None:
        self.adversarial.finish_iteration()

    def samples(self) -> Tensor:
        return self.adversarial.samples()

    @torch.no_grad()
    def preview(self) -> dict[str, Tensor]:
        """ "samples" of N(0, I), and "reconstructions": rows of held-out images, each above its row of G(mu(x))."""
        originals, generator = self.held_out[: PREVIEW_COUNT // 2], self.adversarial.sampled_generator
        training = generator.training
        copies = to_uint8(generator.eval()(self.vae.encoder(to_unit(originals)).embedding.float()), low=-1.0)
        generator.train(training)
        rows = zip(originals.split(GRID_COLUMNS), copies.split(GRID_COLUMNS), strict=True)
        return {
            **self.adversarial.preview(),
            "reconstructions": torch.cat([images for pair in rows for images in pair]),
        }

    def extra_state(self) -> dict[str, Any]:
        return self.adversarial.extra_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.adversarial.load_extra_state(state)

    def weights(self) -> dict[str, Tensor]:
        """All networks, their names prefixed by generator, discriminator and vae."""
        return {**self.adversarial.weights(), **{f"vae.{name}": value for name, value in self.vae.state_dict().items()}}


def hybrid_training(
    settings: Hybrid, gan: Gan, coder: Vae, vae: VAE, images: Tensor, labels: Tensor, seed: int
) -> Training:
    """A trained VAE and a new GAN, each with its own optimisers, trained as one.

    Args:
        coder: the settings of `vae`, which is changed in place.
        images, labels: (N, 3, 32, 32) uint8 and (N,), on the training device; the part that `coder` and `seed` hold out
            of the VAE's training is held out here too.
    """
    order = random_order(len(images), seed).to(images.device)
    num_eval = int(len(images) * coder.eval_fraction)
    shared = {"latent_dim": coder.latent_dim, **settings.model_dump(include={"batch_size", "epochs", "max_steps"})}
    trained = images[order[num_eval:]], labels[order[num_eval:]]
    adversarial, stream, num_steps = gan_training(gan.model_copy(update=shared), *trained, seed)
    vae.to(images.device, memory_format=torch.channels_last).train()
    phase = adam_phase("vae", vae, coder.lr, coder.betas, weight_decay=coder.weight_decay)
    objective = HybridObjective(phase, adversarial, settings.adversarial_weight, images[order[:num_eval]])
    return Training(objective, stream, num_steps)

"""The settings of study 1, and of 1b, which joins two of its models."""

from typing import Annotated, Literal

from pydantic import Field

from modescope.config.base import (
    BatchSize,
    Betas,
    Count,
    EmaDecay,
    Fraction,
    Images,
    LrSchedule,
    Name,
    Names,
    NonNegative,
    Part,
    Positive,
    Section,
    Updates,
    Width,
)


class Gan(Section):
    """Study 1's GAN. BatchNorm momenta in PyTorch's sense: the weight of the newest batch."""

    latent_dim: Width
    width: Annotated[Width, Field(multiple_of=4)]
    batch_size: BatchSize
    epochs: Count
    max_steps: Count
    lr: Positive
    betas: Betas
    dropout: Part
    generator_momentum: Fraction
    discriminator_momenta: Annotated[list[Fraction], Field(min_length=3, max_length=3)]
    loss: Name
    d_loss_scale: Positive
    ema_decay: EmaDecay

    @property
    def lr_discriminator(self) -> float:
        """Both networks learn at one rate."""
        return self.lr

    @property
    def lr_generator(self) -> float:
        """Both networks learn at one rate."""
        return self.lr


class ResidualGan(Section):
    """Our GAN of study 1, which is given labels. A step is one update of the generator.

    Attributes:
        generator_width, discriminator_width: channels of all maps of each network.
        n_critic: updates of the discriminator a step.
        lr_schedule: `linear`: both rates fall to 0 over the training.
        flip: the mirror images belong to the training set, too.
        diff_augment: the discriminator sees translated and cut images, real and generated alike (Zhao et al. 2020).
    """

    latent_dim: Width
    generator_width: Width
    discriminator_width: Width
    batch_size: BatchSize
    generator_steps: Count
    n_critic: Updates
    lr_generator: Positive
    lr_discriminator: Positive
    lr_schedule: LrSchedule
    betas: Betas
    loss: Name
    d_loss_scale: Positive
    ema_decay: EmaDecay
    flip: bool
    diff_augment: bool


class Vae(Section):
    """pythae's ResNet VAE: AdamW; `eval_fraction` of the images choose the best epoch."""

    latent_dim: Width
    batch_size: BatchSize
    epochs: Count
    max_steps: Count
    lr: Positive
    betas: Betas
    weight_decay: NonNegative
    eval_fraction: Annotated[float, Field(gt=0, lt=1)]


class Mixture(Section):
    """The Gaussian mixture fitted to the VAE's codes."""

    components: Width


class Imbalance(Section):
    """Study 1: which models are trained on which splits, and how."""

    splits: Names
    trained: Annotated[list[Literal["gan", "vae"]], Field(min_length=1)]
    evaluated: Annotated[list[Literal["gan", "vae", "vae-gmm"]], Field(min_length=1)]
    ours: list[Name]
    gan: Gan
    gan_ours: ResidualGan = Field(alias="gan-ours")
    vae: Vae
    mixture: Mixture

    def measured(self, split: str) -> list[str]:
        """The models that are evaluated on a split."""
        return [*self.evaluated, *(["gan-ours"] if split in self.ours else [])]

    def of_model(self, model: str) -> Gan | ResidualGan | Vae:
        """The settings of a model that is trained."""
        return getattr(self, model.replace("-", "_"))


class Hybrid(Section):
    """Study 1b: study 1's VAE and GAN trained as one, and the tests of its codes against N(0, I)."""

    batch_size: BatchSize
    epochs: Count
    max_steps: Count
    adversarial_weight: NonNegative
    num_codes: Annotated[Images, Field(ge=20)]
    permutations: Annotated[int, Field(ge=19, le=10**5)]

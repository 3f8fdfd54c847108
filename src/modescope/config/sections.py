"""The sections of params.yaml that data, classifiers, study 1 and evaluation read."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from modescope.config.base import Betas, Count, Fraction, Names, NonNegative, Positive, Section, Seed


class Datasets(Section):
    """Which data set fills each slot: 3x32x32 images and 1x28x28 images."""

    rgb: Literal["cifar10", "digits-rgb"]
    grey: Literal["mnist", "digits"]


class Split(Section):
    """Imbalanced subsets of the rgb training set; `balanced` (everything) needs no entry.

    `long_tailed` are of all classes, class i of K with rho^(-i / (K - 1)) times the images of the first; name -> rho.
    """

    seed: Seed
    total: Count
    classes: Names
    counts: dict[str, list[Count]]
    long_tailed: dict[str, Annotated[float, Field(ge=1)]]

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Split":
        twice = sorted(self.counts.keys() & self.long_tailed.keys())
        if twice:
            raise ValueError(f"split.long_tailed.{twice[0]}: split.counts has a split of this name, choose another")
        return self


class Classifier(Section):
    """One classifier's training. `lr` and `weight_decay` are airbench's decoupled ones, per 1024 examples."""

    network: Literal["airbench96", "resnet", "digit-cnn"]
    role: Literal["guide", "judge"]
    seed: Seed
    epochs: Positive
    batch_size: Count
    widths: Annotated[list[Count], Field(min_length=1)]
    lr: Positive
    weight_decay: NonNegative
    label_smoothing: Fraction
    flip: bool
    translate_pixels: Annotated[int, Field(ge=0, le=8)]
    cutout_pixels: Annotated[int, Field(ge=0, le=24)]
    calibration_images: Count


class Gan(Section):
    """Study 1's GAN. BatchNorm momenta in PyTorch's sense: the weight of the newest batch."""

    latent_dim: Count
    width: Count
    batch_size: Annotated[int, Field(ge=2)]
    epochs: Count
    max_steps: Count
    lr: Positive
    betas: Betas
    dropout: Annotated[float, Field(ge=0, lt=1)]
    generator_momentum: Fraction
    discriminator_momenta: Annotated[list[Fraction], Field(min_length=3, max_length=3)]
    loss: str
    d_loss_scale: Positive
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None


class Vae(Section):
    """pythae's ResNet VAE: AdamW; `eval_fraction` of the images choose the best epoch."""

    latent_dim: Count
    batch_size: Count
    epochs: Count
    max_steps: Count
    lr: Positive
    betas: Betas
    weight_decay: NonNegative
    eval_fraction: Annotated[float, Field(gt=0, lt=1)]


class Mixture(Section):
    """The Gaussian mixture fitted to the VAE's codes."""

    components: Count


class Imbalance(Section):
    """Study 1: which models are trained on which splits, and how."""

    splits: Names
    trained: Annotated[list[Literal["gan", "vae"]], Field(min_length=1)]
    evaluated: Annotated[list[Literal["gan", "vae", "vae-gmm"]], Field(min_length=1)]
    gan: Gan
    vae: Vae
    mixture: Mixture


class Seeds(Section):
    """Which trainings are done again with `more` seeds: study 1's `models` on `splits`, study 3's `rows`. Study 2's
    rows name their own seed.
    """

    more: list[Seed]
    models: list[Literal["gan", "vae"]]
    splits: list[str]
    rows: list[str]


class Evaluation(Section):
    """How every sampler is measured."""

    num_samples: Count
    seed: Seed
    extractors: Annotated[list[Literal["judge", "inception"]], Field(min_length=1)]
    neighbours: Count
    prdc_samples: Count
    kid_subsets: Count
    kid_subset_size: Count
    is_splits: Count


class Hybrid(Section):
    """Study 1b: study 1's VAE and GAN trained as one, and the tests of its codes against N(0, I)."""

    batch_size: Annotated[int, Field(ge=2)]
    epochs: Count
    max_steps: Count
    adversarial_weight: NonNegative
    num_codes: Annotated[int, Field(ge=20)]
    permutations: Annotated[int, Field(ge=19)]

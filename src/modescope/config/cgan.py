"""Study 3's settings: what every row shares, what each loss brings along, and our rows that override parts of both."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modescope.config.base import (
    BatchSize,
    Betas,
    Count,
    EmaDecay,
    Fraction,
    Images,
    Name,
    Names,
    NonNegative,
    Part,
    Positive,
    Section,
    Updates,
    Width,
    resolve,
)

Mode = Literal["cgan", "dcgan"]
Overrides = dict[str, Any]


class Recipe(Section):
    """What a loss brings along (report 2, section 3): its discriminator, its targets, its schedule.

    `real_label` is the target of real images (1: no smoothing); `lambda_gp` weights the gradient penalty;
    `generator_steps` takes the place of the shared one.
    """

    discriminator: Literal["spectral", "critic"]
    real_label: Annotated[float, Field(gt=0.5, le=1)]
    d_loss_scale: Positive
    n_critic: Updates
    betas: Betas
    lambda_gp: NonNegative
    generator_steps: Count | None = None


class CganTraining(Section):
    """What the rows share. Widths are channels of each network's first maps; a step is one update of the generator."""

    latent_dim: Width
    generator_width: Annotated[Width, Field(multiple_of=2)]
    discriminator_width: Width
    critic_width: Width
    batch_size: BatchSize
    generator_steps: Count
    lr_generator: Positive
    lr_discriminator: Positive
    dropout: Part
    generator_momentum: Fraction
    generator_labels: Literal["multiply", "concat"]
    discriminator_labels: Literal["map", "projection"]
    initialization: Literal["code", "text"]
    ema_decay: EmaDecay
    checkpoint: str | None


class CganConfig(CganTraining, Recipe):
    """Everything that one training of study 3 reads."""

    mode: Mode
    loss: Name


class Cgan(Section):
    """Study 3: four losses, with and without labels, and our rows, each with what differs from its loss's published
    row. `game` is the row that a person draws against.
    """

    modes: Annotated[list[Mode], Field(min_length=1)]
    losses: Names
    per_class_samples: Annotated[Images, Field(ge=2)]
    game: Name
    training: CganTraining
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    ours: dict[Name, Overrides]

    @model_validator(mode="after")
    def _rows_resolve(self) -> "Cgan":
        for row in self.rows:
            self.config(row)
        return self

    @property
    def published(self) -> dict[str, Overrides]:
        """The report's rows: every mode with every loss."""
        return {f"{mode}-{loss}": {"mode": mode, "loss": loss} for mode in self.modes for loss in self.losses}

    @property
    def rows(self) -> dict[str, Overrides]:
        """The report's rows, then ours, in the order of params.yaml. Raises ValueError where two share a name."""
        taken = sorted(self.published.keys() & self.ours.keys())
        if taken:
            raise ValueError(f"cgan.ours.{taken[0]}: a published row has this name, choose another")
        return self.published | {name: {"mode": "cgan", **row} for name, row in self.ours.items()}

    def config(self, row: str) -> CganConfig:
        """Settings of a row. Raises ValueError for a loss without a recipe, or an override that is refused."""
        return self.resolve(self.rows[row], f"cgan.ours.{row}" if row in self.ours else "cgan")

    def resolve(self, overrides: Overrides, where: str) -> CganConfig:
        """The shared settings, those of `overrides`' loss over them, `overrides` over both. Raises ValueError that
        begins with `where`.
        """
        recipe = self.recipes.get(str(overrides.get("loss")))
        if recipe is None:
            raise ValueError(
                f"{where}: unknown loss `{overrides.get('loss')}`: cgan.recipes has {', '.join(self.recipes)}"
            )
        return resolve(CganConfig, self.training.model_dump() | recipe.model_dump(exclude_none=True) | overrides, where)


class Stacked(Section):
    """Stacked digits: 1,000 modes, three digits as one RGB image, for losses without labels. `training` overrides
    cgan.training.
    """

    losses: Names
    num_images: Images
    num_samples: Images
    enough: Images
    training: Overrides

    @model_validator(mode="after")
    def _loss_and_mode_are_given(self) -> "Stacked":
        given = sorted({"loss", "mode"} & self.training.keys())
        if given:
            raise ValueError(
                f"stacked.training.{given[0]}: stacked.losses names the losses, and there are no labels: remove it"
            )
        return self

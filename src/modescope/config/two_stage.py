"""Study 2's settings: report 1's `GANConfig` under its own names, and the training runs that override parts of it."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modescope.config.base import (
    BatchSize,
    Betas,
    Count,
    EmaDecay,
    LrSchedule,
    Name,
    NonNegative,
    Positive,
    Section,
    Seed,
    Updates,
    Width,
    shown,
)

Overrides = dict[str, Any]
STAGE1_ALONE = {
    "latent_dim",
    "prior",
    "network",
    "ngf",
    "ndf",
    "stage1_n_gen",
    "stage1_epochs",
    "stage1_max_generator_steps",
    "stage1_checkpoint",
}


class Stage1Config(Section):
    """What stage 1 (adversarial training alone) reads. A step of a phase is one optimiser update.

    `network`, `loss`, `ema_decay`, `lr_schedule`, `flip`, `diff_augment` (as of `ResidualGan`) are ours; the report's
    values are dcgan, bce, null, constant, false and false.
    """

    seed: Seed
    latent_dim: Width
    prior: Literal["diagonal", "sphere", "orthogonal", "close", "normal"]
    network: Literal["dcgan", "residual"]
    ngf: Width
    ndf: Width
    batch_size: BatchSize
    lr_generator: Positive
    lr_discriminator: Positive
    betas: Betas
    n_critic: Updates
    stage1_n_gen: Updates
    stage1_epochs: Count
    stage1_max_generator_steps: Count
    stage1_checkpoint: str | None
    loss: Name
    ema_decay: EmaDecay
    lr_schedule: LrSchedule
    flip: bool
    diff_augment: bool


class GANConfig(Stage1Config):
    """Report 1's GANConfig (its section 10 and table 4). What follows from the data (nc, size, num_classes) is no
    setting.
    """

    add_stage2_input: bool
    add_stage2_ff: bool
    add_stage2_conv: bool
    sft_input_dim: Width
    sft_ff_dim: Width
    sft_conv_hidden: Annotated[Width, Field(ge=2)]
    adapter_start: Literal["identity", "random"]
    n_gen: Updates
    stage2_epochs: Count
    stage2_max_generator_steps: Count
    ce_loss_weight: NonNegative

    @model_validator(mode="after")
    def _fits_together(self) -> "GANConfig":
        if self.add_stage2_ff and self.add_stage2_conv:
            raise ValueError(
                "add_stage2_ff and add_stage2_conv are both true: a generator has one output layer, switch one off"
            )
        if self.sft_input_dim != self.latent_dim:
            raise ValueError(
                f"sft_input_dim is {self.sft_input_dim} and latent_dim {self.latent_dim}: "
                "the input layer maps one onto the other, make them equal"
            )
        return self

    @property
    def has_adapters(self) -> bool:
        """Whether stage 2 freezes the generator and trains layers around it (architectures B, C, D)."""
        return self.add_stage2_input or self.add_stage2_ff or self.add_stage2_conv

    @property
    def architecture(self) -> Literal["A", "B", "C", "D"]:
        """The report's letter: A trains the generator, B adds a feed-forward output, C a convolutional one, D an input
        layer.
        """
        if self.add_stage2_input:
            return "D"
        return "B" if self.add_stage2_ff else "C" if self.add_stage2_conv else "A"


class TwoStage(Section):
    """Study 2's training runs by name, each with what differs from the GANConfig at the top of params.yaml.

    `split` is what all are trained on. A row of `rows` also inherits from the run of stage 1 that its key `from` names;
    its key `budget` (1) scales stage2_max_generator_steps.
    """

    split: Name
    stage1: Annotated[dict[Name, Overrides], Field(min_length=1)]
    rows: Annotated[dict[Name, Overrides], Field(min_length=1)]

    @model_validator(mode="after")
    def _stage1_has_names_of_its_own(self) -> "TwoStage":
        taken = [name for name in self.stage1 if name in ("top", "hybrid") or name.startswith("stage2-")]
        if taken:
            raise ValueError(
                f"two_stage.stage1.{taken[0]}: another run has this name, choose one as `stage1-{taken[0]}`"
            )
        return self

    @model_validator(mode="after")
    def _rows_are_rows(self) -> "TwoStage":
        for name, row in self.rows.items():
            if row.get("from") not in list(self.stage1):
                raise ValueError(
                    f"two_stage.rows.{name}: `from` must name a training run of two_stage.stage1: "
                    f"{', '.join(self.stage1)}"
                )
            fixed = sorted(key for key in row if key in STAGE1_ALONE)
            if fixed:
                raise ValueError(
                    f"two_stage.rows.{name}: {', '.join(fixed)} is what stage 1 was trained with: "
                    "set it in two_stage.stage1"
                )
            budget = row.get("budget", 1)
            if type(budget) not in (int, float) or not 0 < budget <= 1000:
                raise ValueError(
                    f"two_stage.rows.{name}: `budget` = {shown(budget)}: input should be a number above 0, "
                    "the row's part of stage2_max_generator_steps"
                )
        return self

    def overrides(self, row: str) -> Overrides:
        """Everything in which `row` differs from the top level, but for its budget."""
        own = {key: value for key, value in self.rows[row].items() if key not in ("from", "budget")}
        return self.stage1[self.rows[row]["from"]] | own

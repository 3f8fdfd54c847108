"""The sections of params.yaml that all studies share: data, splits, classifiers, seeds, evaluation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from modescope.config.base import (
    BatchSize,
    Fraction,
    Images,
    Name,
    NonNegative,
    Positive,
    Section,
    Seed,
    Width,
)


class Datasets(Section):
    """Which data set fills each slot: 3x32x32 images and 1x28x28 images."""

    rgb: Literal["cifar10", "digits-rgb"]
    grey: Literal["mnist", "digits"]


class Split(Section):
    """Imbalanced subsets of the rgb training set; `balanced` (everything) needs no entry.

    `long_tailed` are of all classes, class i of K with rho^(-i / (K - 1)) times the images of the first; name -> rho.
    """

    seed: Seed
    total: Images
    classes: Annotated[list[str], Field(min_length=1)]
    counts: dict[Name, list[Images]]
    long_tailed: dict[Name, Annotated[Positive, Field(ge=1)]]

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
    batch_size: BatchSize
    widths: Annotated[list[Width], Field(min_length=1)]
    lr: Positive
    weight_decay: NonNegative
    label_smoothing: Fraction
    flip: bool
    translate_pixels: Annotated[int, Field(ge=0, le=8)]
    cutout_pixels: Annotated[int, Field(ge=0, le=24)]
    calibration_images: Images

    @model_validator(mode="after")
    def _widths_fit(self) -> "Classifier":
        fewest, most = {"airbench96": (3, 3), "resnet": (1, 5), "digit-cnn": (4, 4)}[self.network]
        if not fewest <= len(self.widths) <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise ValueError(f"a {self.network} takes {wanted} widths, {self.widths} are {len(self.widths)}")
        return self


class Seeds(Section):
    """What is trained with `more` seeds, too: study 1's `models` on `splits`, study 3's `rows`.

    Study 2's rows name their own seed.
    """

    more: list[Seed]
    models: list[Literal["gan", "gan-ours", "vae"]]
    splits: list[Name]
    rows: list[Name]


class Evaluation(Section):
    """How every sampler is measured."""

    num_samples: Annotated[Images, Field(ge=2)]
    seed: Seed
    extractors: Annotated[list[Literal["judge", "inception"]], Field(min_length=1)]
    neighbours: Images
    prdc_samples: Images
    kid_subsets: Annotated[int, Field(ge=1, le=10**5)]
    kid_subset_size: Annotated[Images, Field(ge=2)]
    is_splits: Annotated[Images, Field(ge=2)]

    @model_validator(mode="after")
    def _there_are_enough_samples(self) -> "Evaluation":
        for name, wanted in {
            "neighbours": self.neighbours + 1,
            "kid_subset_size": self.kid_subset_size,
            "is_splits": self.is_splits,
        }.items():
            if wanted > self.num_samples:
                raise ValueError(
                    f"evaluation.{name} {getattr(self, name)} is too many of {self.num_samples} samples: lower it, or "
                    "raise evaluation.num_samples"
                )
        return self

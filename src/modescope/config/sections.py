"""The sections of params.yaml that all studies share: data, splits, classifiers, seeds, evaluation."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from modescope.config.base import (
    BatchSize,
    Fraction,
    Images,
    Name,
    Names,
    NonNegative,
    Positive,
    Section,
    Seed,
    Width,
)


class OwnImages(Section):
    """Images of the user's own, as `modescope data PATH --write` describes them.

    Attributes:
        folder: where they lie; relative to the repository.
        digest: of all files; with other images there, stage `download` refuses to go on.
        skip_broken: leave out files that cannot be read.
        test_share, seed: of every class and of the draw, where train and test are not apart there.
    """

    folder: str
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    skip_broken: bool
    test_share: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed

    @property
    def command(self) -> str:
        """Describes the images as they are now, with the same choices."""
        skip = ["--skip-broken"] if self.skip_broken else []
        choices = [*skip, f"--test-share {self.test_share}", f"--seed {self.seed}"]
        return " ".join(["modescope data", self.folder, *choices, "--write"])


def _named_or_own(names: tuple[str, ...], value: Any, _handler: Any) -> Any:
    """Raises PydanticCustomError for what is neither one of `names` nor a mapping."""
    if isinstance(value, dict):
        if "digest" not in value:
            raise PydanticCustomError("own", "input has no digest: `modescope data --write` adds it")
        return OwnImages.model_validate(value)
    if isinstance(value, OwnImages) or value in names:
        return value
    raise PydanticCustomError("own", f"input should be {' or '.join(names)}, or what `modescope data --write` writes")


def _slot(*names: str) -> Any:
    return Annotated[str | OwnImages, WrapValidator(partial(_named_or_own, names))]


class Datasets(Section):
    """Which data set fills each slot: 3x32x32 images and 1x28x28 images."""

    rgb: _slot("cifar10", "digits-rgb")
    grey: _slot("mnist", "digits")


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
    models: list[Literal["gan", "vae"]]
    splits: list[Name]
    rows: list[Name]


class Explore(Section):
    """The run of every study whose latent space a page opens; None: no page."""

    cgan: Name | None
    imbalance: Name | None
    two_stage: Name | None


class Inside(Section):
    """Which runs of every study are looked into, and how."""

    clusters: Annotated[int, Field(ge=1, le=1000)]
    paths: Annotated[int, Field(ge=2, le=10**5)]
    cgan: Names
    imbalance: Names
    two_stage: Names
    explore: Explore

    def of(self, study: str) -> list[str]:
        """Runs of a study."""
        return getattr(self, study.replace("-", "_"), [])

    def explored(self, study: str) -> str | None:
        """The run whose latent space the study's page opens."""
        return getattr(self.explore, study.replace("-", "_"), None)


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

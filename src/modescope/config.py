"""`params.yaml` as frozen, validated sections. Every number that changes a result stands there; nothing has a default here."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from modescope.errors import UserError

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")

Seed = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Betas = Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)]
Names = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """A part of params.yaml: unknown keys and wrong types are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Datasets(Section):
    """Which data set fills each slot: 3x32x32 images and 1x28x28 images."""

    rgb: Literal["cifar10", "digits-rgb"]
    grey: Literal["mnist", "digits"]


class Split(Section):
    """Imbalanced subsets of the rgb training set; `balanced` (everything) needs no entry."""

    seed: Seed
    total: Count
    classes: Names
    counts: dict[str, list[Count]]


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


class Params(Section):
    """All of params.yaml."""

    seed: Seed
    precision: Literal["fp32", "bf16"]
    datasets: Datasets
    split: Split
    classifiers: dict[str, Classifier]
    imbalance: Imbalance
    evaluation: Evaluation

    @model_validator(mode="after")
    def _splits_are_drawn(self) -> "Params":
        unknown = set(self.imbalance.splits) - {"balanced", *self.split.counts}
        if unknown:
            raise ValueError(f"imbalance.splits names {sorted(unknown)}, which split.counts does not draw")
        return self

    def subset(self, *keys: str) -> dict[str, Any]:
        """The values under dotted `keys`, nested as in the file: what a stage declares under `params`."""
        chosen: dict[str, Any] = {}
        for key in keys:
            value: Any = self.model_dump()
            *parents, last = key.split(".")
            target = chosen
            for name in parents:
                value = value[name]
                target = target.setdefault(name, {})
            target[last] = value[last]
        return chosen


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key `{where}`"
    if problem["type"] == "missing":
        return f"`{where}` is missing"
    if not where:
        return str(problem["msg"]).removeprefix("Value error, ").lower()
    return f"`{where}` = {problem['input']!r}: {problem['msg'].lower()}"


def parse_params(values: Any, source: str) -> Params:
    """Validate a mapping read from `source`. Raises UserError that names the key at fault."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {_first_problem(error)}; `modescope use standard` restores a valid file") from None


def read_yaml(path: Path) -> Any:
    """YAML 1.2, as DVC reads and writes it: 1e-05 is a number (PyYAML's 1.1 takes it for a text)."""
    return YAML(typ="safe", pure=True).load(path.read_text())


def load_params(path: Path = PARAMS) -> Params:
    """Read and validate params.yaml. Raises UserError in one line for a missing file, bad YAML, unknown keys or bad values."""
    try:
        values = read_yaml(Path(path))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `modescope use standard` in the repository's folder") from None
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    return parse_params(values, str(path))


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it: mappings merge, everything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def profile_names() -> list[str]:
    """Profiles at hand, sorted."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def profile_values(name: str) -> dict[str, Any]:
    """The complete values of a profile: its file laid over the standard one. Raises UserError for an unknown name."""
    if name not in profile_names():
        raise UserError(f"unknown profile `{name}`: there are {', '.join(profile_names())}")
    return merge(read_yaml(PROFILES / "standard.yaml"), read_yaml(PROFILES / f"{name}.yaml") or {})


def profile_name(params: Params) -> str:
    """The profile whose values `params` has, or `custom`."""
    for name in profile_names():
        if parse_params(profile_values(name), name) == params:
            return name
    return "custom"

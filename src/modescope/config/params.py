"""`params.yaml` as a whole, and the profiles that fill it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from modescope.config.base import Name, Section, first_problem, resolve, shown
from modescope.config.cgan import Cgan, CganConfig, Stacked
from modescope.config.imbalance import Hybrid, Imbalance
from modescope.config.reading import read_yaml
from modescope.config.sections import Classifier, Datasets, Evaluation, Inside, Seeds, Split
from modescope.config.two_stage import GANConfig, Stage1Config, TwoStage
from modescope.errors import UserError
from modescope.files import PARAMS

PROFILES, STANDARD = Path("profiles"), "standard"  # the profile whose results lie in the repository's root
LISTS_BY_NAME = {"stage1", "rows", "ours"}  # of two_stage and cgan: a profile that has one has all of it


def of_a_profile(folder: str) -> str:
    """The value of `results`, '' for the standard profile's. Raises ValueError for another folder than a profile's."""
    if not isinstance(folder, str) or not re.fullmatch(r"(profiles/[A-Za-z][A-Za-z0-9._-]{0,63}/)?", folder):
        raise ValueError(f"results = {shown(folder)} is neither '' nor profiles/NAME/")
    return folder


class Params(GANConfig):
    """All of params.yaml. The report's GANConfig is its top level, so that `dvc exp run -S ce_loss_weight=1.0` works as
    it is written.
    """

    threads: Annotated[int, Field(ge=1, le=256)]
    precision: Literal["fp32", "tf32", "bf16"]
    deterministic: bool
    results: Annotated[str, AfterValidator(of_a_profile)]
    datasets: Datasets
    split: Split
    classifiers: dict[Name, Classifier]
    imbalance: Imbalance
    hybrid: Hybrid
    two_stage: TwoStage
    cgan: Cgan
    stacked: Stacked
    seeds: Seeds
    evaluation: Evaluation
    inside: Inside

    @model_validator(mode="after")
    def _splits_are_drawn(self) -> "Params":
        drawn = {"balanced", *self.split.counts, *self.split.long_tailed}
        for name, wanted in {
            "imbalance.splits": set(self.imbalance.splits),
            "two_stage.split": {self.two_stage.split},
        }.items():
            unknown = sorted(wanted - drawn)
            if unknown:
                raise ValueError(f"{name} names {unknown}, which neither split.counts nor split.long_tailed draws")
        left_out = [name for name in self.imbalance.ours if name not in self.imbalance.splits]
        if left_out:
            raise ValueError(f"imbalance.ours names {left_out}, which imbalance.splits leaves out")
        return self

    @model_validator(mode="after")
    def _seeds_repeat_what_is_trained(self) -> "Params":
        if len({self.seed, *self.seeds.more}) <= len(self.seeds.more):
            raise ValueError(
                f"seeds.more {self.seeds.more} names a seed twice, or {self.seed}, which is `seed`: leave it out"
            )
        trained = {"models": self.imbalance.trained, "splits": self.imbalance.splits, "rows": list(self.cgan.rows)}
        for name, known in trained.items():
            unknown = sorted(set(getattr(self.seeds, name)) - set(known)) if self.seeds.more else []
            if unknown:
                raise ValueError(
                    f"seeds.{name} names {unknown[0]}, which is not trained: "
                    f"name some of {', '.join(known)}, or set seeds.more to []"
                )
        return self

    @model_validator(mode="after")
    def _two_stage_resolves(self) -> "Params":
        for name in self.two_stage.stage1:
            self.stage1_config(name)
        for name in self.two_stage.rows:
            if self.stage2_config(name).prior == "normal":
                raise ValueError(
                    f"two_stage.rows.{name}: the normal prior has no classes to guide towards: "
                    "start from a stage 1 with a mixture"
                )
        return self

    @model_validator(mode="after")
    def _stacked_resolves(self) -> "Params":
        for loss in self.stacked.losses:
            self.stacked_config(loss)
        return self

    def stacked_config(self, loss: str) -> CganConfig:
        """Settings of a training run on stacked digits. Raises ValueError for an override that is refused."""
        return self.cgan.resolve({"mode": "dcgan", "loss": loss, **self.stacked.training}, "stacked.training")

    def stage1_config(self, name: str) -> Stage1Config:
        """Settings of a stage-1 training. Raises ValueError for an override that is refused."""
        return self._with(Stage1Config, self.two_stage.stage1[name], f"two_stage.stage1.{name}")

    def stage2_config(self, row: str) -> GANConfig:
        """Settings of a row's stage 2. Raises ValueError for an override that is refused."""
        limit = int(self.stage2_max_generator_steps * self.two_stage.rows[row].get("budget", 1))
        return self._with(
            GANConfig, {"stage2_max_generator_steps": limit} | self.two_stage.overrides(row), f"two_stage.rows.{row}"
        )

    def _with(self, section: type[Section], overrides: dict[str, Any], where: str) -> Any:
        return resolve(section, {name: getattr(self, name) for name in section.model_fields} | overrides, where)

    def run_name(self, row: str, seed: int | None) -> str:
        """The name of a row's training: with one of `seeds.more` it ends in it."""
        return row if seed in (None, self.seed) else f"{row}-s{seed}"

    def subset(self, *keys: str) -> dict[str, Any]:
        """The values under dotted `keys`, nested as in the file: what a stage declares under `params`."""
        chosen: dict[str, Any] = {}
        for key in keys:
            value: Any = self.model_dump(by_alias=True)
            *parents, last = key.split(".")
            target = chosen
            for name in parents:
                value = value[name]
                target = target.setdefault(name, {})
            target[last] = value[last]
        return chosen


def parse_params(values: Any, source: str) -> Params:
    """Validate a mapping read from `source`. Raises UserError that names the key at fault."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {first_problem(error)}") from None


def load_params(path: Path = PARAMS) -> Params:
    """Read and validate params.yaml. Raises UserError in one line for a missing file, bad YAML, unknown keys or bad
    values.
    """
    if not Path(path).exists():
        raise UserError(f"{path} is missing: run `modescope use standard` in the repository's folder")
    try:
        values = read_yaml(path)
        if not values:
            raise UserError(f"{path} is empty")
        return parse_params(values, str(path))
    except UserError as error:
        raise UserError(f"{error}; `modescope use standard` restores a valid file") from None


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it: mappings merge, everything else and `LISTS_BY_NAME` are replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = key not in LISTS_BY_NAME and isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def profile_names() -> list[str]:
    """Profiles at hand, sorted."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def profile_values(name: str) -> dict[str, Any]:
    """The complete values of a profile: its file laid over the standard one, and `results` of its own.

    Raises UserError for an unknown name.
    """
    if name not in profile_names():
        raise UserError(f"unknown profile `{name}`: there are {', '.join(profile_names())}")
    standard = read_yaml(PROFILES / f"{STANDARD}.yaml")
    own = {} if name == STANDARD else {"results": f"{PROFILES}/{name}/"}
    return merge(merge(standard, own), read_yaml(PROFILES / f"{name}.yaml"))


def results_folder(folder: Path) -> Path:
    """Where metrics/ and reports/ of the parameters in `folder` lie; `folder` itself where they cannot be read."""
    try:
        return folder / of_a_profile(read_yaml(folder / PARAMS)["results"])
    except (UserError, LookupError, ValueError):
        return folder


def profile_name(params: Params) -> str:
    """The profile whose values `params` has, or `custom`."""
    for name in profile_names():
        if parse_params(profile_values(name), name) == params:
            return name
    return "custom"

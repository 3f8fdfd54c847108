"""What every section of params.yaml is made of: validated, frozen, and without defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Seed = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Betas = Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)]
EmaDecay = Annotated[float, Field(gt=0, lt=1)] | None
LrSchedule = Literal["constant", "linear"]
Names = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """A part of params.yaml: unknown keys and wrong types are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The section whose values stand among `values`, a run's parameters, say."""
        return cls(**{name: values[name] for name in cls.model_fields})


Resolved = TypeVar("Resolved", bound=Section)


def resolve(section: type[Resolved], values: Mapping[str, Any], where: str) -> Resolved:
    """`section` of `values`. Raises ValueError that begins with `where` for a value that is refused."""
    try:
        return section(**values)
    except ValidationError as error:
        raise ValueError(f"{where}: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """The first of a validation's problems, with the key at fault."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key `{where}`"
    if problem["type"] == "missing":
        return f"`{where}` is missing"
    if problem["type"] == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    return f"`{where}` = {problem['input']!r}: {problem['msg'].lower()}"

"""What every section of params.yaml is made of: validated, frozen, and without defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

SMALLEST = 1e-12  # of numbers above 0: what is less becomes 0 in products of float32


def _not_vanishing(value: float) -> float:
    if value < SMALLEST:
        raise PydanticCustomError("vanishing", f"input should be at least {SMALLEST}")
    return value


# Every number has a bound on either side; tests/test_bounds.py tries them. The upper one is what nobody means, or more
# than a library takes: scikit-learn's seeds end at 2^32.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, le=10**9)]  # steps, epochs
Images = Annotated[int, Field(ge=1, le=10**7)]  # and what else lies in memory at once
Updates = Annotated[int, Field(ge=1, le=1000)]  # of one network in an iteration
BatchSize = Annotated[int, Field(ge=2, le=2**16)]  # BatchNorm takes no batch of one
Width = Annotated[int, Field(ge=1, le=2**12)]  # channels, units, dimensions of z
Fraction = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=10**6), AfterValidator(_not_vanishing)]
NonNegative = Annotated[float, Field(ge=0, le=10**6)]
Betas = Annotated[list[Part], Field(min_length=2, max_length=2)]
EmaDecay = Annotated[float, Field(gt=0, lt=1)] | None
LrSchedule = Literal["constant", "linear"]
# A user's name becomes part of paths and of commands.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]*$", max_length=64)]
Names = Annotated[list[Name], Field(min_length=1)]
LONGEST = 80  # characters of a refused value that are shown


class Section(BaseModel):
    """A part of params.yaml: unknown keys and wrong types are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The section whose values stand among `values`, a run's parameters, say."""
        return cls(**{name: values[name] for name in cls.model_fields})


Resolved = TypeVar("Resolved", bound=Section)


def resolve(section: type[Resolved], values: Mapping[str, Any], where: str) -> Resolved:
    """`section` of `values`. Raises ValueError that begins with `where` for a value that is refused."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{where}: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """The first of a validation's problems, with the key at fault."""
    problem = error.errors()[0]
    kind, where = problem["type"], ".".join(str(part) for part in problem["loc"])
    if kind == "extra_forbidden":
        return f"unknown key `{where}`"
    if kind == "missing":
        return f"`{where}` is missing"
    if kind == "value_error":
        message = str(problem["msg"]).removeprefix("Value error, ")
        return message if message.startswith(where) else f"{where}: {message}"
    value = shown(problem["input"])
    if kind in ("string_pattern_mismatch", "string_too_long"):
        return (
            f"`{where.removesuffix('.[key]')}`: {value} is no name: letters, digits, `.`, `_` and `-`, "
            "a letter first, at most 64"
        )
    return f"`{where}` = {value}: {problem['msg'].lower()}"


def shown(value: Any) -> str:
    """A refused value, in a length that can be read."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."

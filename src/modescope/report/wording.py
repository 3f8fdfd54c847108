"""Numbers and names inside sentences."""

from collections.abc import Collection, Sequence

PRECISION = 4  # significant digits printed


def decimals(value: float, most: int) -> int:
    """How many decimals of a value are printed: as many as PRECISION leaves, `most` at most."""
    return min(most, max(0, PRECISION - len(str(int(abs(value))))))


def span(values: Collection[float], digits: int = 2, scale: float = 1.0, unit: str = "") -> str:
    """The least and the largest value, or the one that they print as."""
    low, high = (f"{scale * value:,.{digits}f}{unit}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def listing(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)

"""Nested settings by dotted names, as DVC and MLflow show them."""

from collections.abc import Mapping
from typing import Any


def dotted(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"gan": {"lr": 1}}` -> `{"gan.lr": 1}`. Lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat.update(
            dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
        )
    return flat

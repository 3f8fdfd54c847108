"""Settings and metrics by flat names, as DVC and MLflow show them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

TAKEN = re.compile(r"(?=.*\w)[\w .-]+")  # what MLflow takes as a part of a metric's name: no combining marks


def dotted(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"gan": {"lr": 1}}` -> `{"gan.lr": 1}`. Lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat.update(
            dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
        )
    return flat


def numbers(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float]:
    """The numbers among a run's metrics: `{"share": [0.4, 0.6]}` -> `{"share/cat": 0.4, "share/dog": 0.6}`.

    A list with one value for each class is named by `classes`, another by position. A class whose name MLflow does not
    take is called by its position and the letters that it takes, `3: कतब`. Texts (`warnings`) and tables (`confusion`)
    are left out.
    """
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, list) and not any(isinstance(entry, (str, list)) for entry in value):
            labels = _labels(classes) if len(value) == len(classes) else range(len(value))
            flat |= {f"{name}/{label}": float(entry) for label, entry in zip(labels, value, strict=True)}
        elif isinstance(value, (int, float)):
            flat[name] = float(value)
    return flat


def _labels(classes: Sequence[str]) -> list[str]:
    """Names of their own: no class's name has a colon."""
    letters = [re.sub(r"[^\w .-]", "", name) for name in classes]
    return [name if TAKEN.fullmatch(name) else f"{place}: {letters[place]}" for place, name in enumerate(classes)]

"""Comparisons of runs, and the one rule by which a difference counts.

A difference counts when it is larger than what chance or measurement alone explain: for a share of the samples two
standard errors of both samples together, for a distance what real images score (the floor), and in every case half of
the last digit that is printed. What does not count is reported as no difference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from modescope.report.results import Run
from modescope.report.wording import listing, span


@dataclass(frozen=True)
class Metric:
    """A number that runs are compared by.

    Attributes:
        key: its name in the metrics files; a list (a value for each class) stands for its mean.
        name: in a sentence. lower: whether lower is better. digits, scale, unit: as it is printed.
        kind: `share`, `distance` from real images, or another `size`.
        images: of which a share is one (None: the run's number of samples).
        out_of: the number that a count is a share of, and the images behind it.
    """

    key: str
    name: str
    lower: bool
    kind: Literal["share", "distance", "size"]
    digits: int = 2
    scale: float = 1.0
    unit: str = ""
    images: int | None = None
    out_of: int | None = None

    def value(self, run: Run) -> float:
        """The run's, unscaled."""
        found = run.values[self.key]
        return sum(found) / len(found) if isinstance(found, list) else found

    def text(self, run: Run) -> str:
        """The run's, as printed."""
        return f"{self.scale * self.value(run):,.{self.digits}f}{self.unit}"

    def spans(self, runs: Sequence[Run]) -> str:
        """From the least to the largest of some runs, as printed."""
        return span([self.value(run) for run in runs], self.digits, self.scale, self.unit)

    def margin(self, one: Run, other: Run, floor: Run) -> float:
        """What a difference between two runs must exceed to count; `floor` is the run of real images."""
        printed = 0.5 * 10**-self.digits / self.scale
        if self.kind == "distance":
            return max(printed, self.value(floor))
        return max(printed, 2 * math.hypot(self._error(one), self._error(other))) if self.kind == "share" else printed

    def _error(self, run: Run) -> float:
        """Standard error of a share, as a binomial one; in the metric's own unit where it is a count."""
        count = self.images or self.out_of or run.values["num_samples"]
        share = min(1.0, self.value(run) / (self.out_of or 1))
        return (self.out_of or 1) * math.sqrt(share * (1 - share) / count)

    def gain(self, one: Run, other: Run) -> float:
        """By how much `one` is better than `other`."""
        return (self.value(one) - self.value(other)) * (-1 if self.lower else 1)

    def verdict(self, one: Run, other: Run, floor: Run) -> int:
        """1 where `one` is better, -1 where it is worse, 0 where the difference does not count."""
        gain, margin = self.gain(one, other), self.margin(one, other, floor)
        return (gain > margin) - (gain < -margin)


FID = Metric("fid_classifier", "FID of the judge's features", lower=True, kind="distance")
TV = Metric("class_share_tv", "total variation of class shares", lower=True, kind="distance", digits=3)
CONSISTENCY = Metric("class_consistency", "class consistency", lower=False, kind="share", digits=1, scale=100, unit="%")
PRECISION = Metric("precision", "precision", lower=False, kind="share")
RECALL = Metric("recall", "recall", lower=False, kind="share")


@dataclass(frozen=True)
class Claim:
    """One metric over pairs of runs: (one, the other that it is held against, real images)."""

    metric: Metric
    pairs: Sequence[tuple[Run, Run, Run]]

    @cached_property
    def verdicts(self) -> list[int]:
        """Of every pair, see `Metric.verdict`."""
        return [self.metric.verdict(*pair) for pair in self.pairs]

    @property
    def better(self) -> int:
        """Number of pairs whose first run is better."""
        return self.verdicts.count(1)

    @property
    def worse(self) -> int:
        """Number of pairs whose first run is worse."""
        return self.verdicts.count(-1)

    def text(self, places: str) -> str:
        """`recall is higher on 2 of 5 splits and lower on 1 (0.10 to 0.20 against 0.05)`; `places` names the pairs."""
        ours, theirs = ([pair[index] for pair in self.pairs] for index in (0, 1))
        spans = f"({self.metric.spans(ours)} against {self.metric.spans(theirs)})"
        if not any(self.verdicts):
            return f"{self.metric.name} differs on none of {len(self.pairs)} {places} by more than the margin {spans}"
        words = ("lower", "higher") if self.metric.lower else ("higher", "lower")
        counts = [(word, count) for word, count in zip(words, (self.better, self.worse), strict=True) if count]
        first, *more = [f"{word} on {count}" for word, count in counts]
        return f"{self.metric.name} is {listing([f'{first} of {len(self.pairs)} {places}', *more])} {spans}"


def ranking(metric: Metric, runs: Mapping[str, Run], floor: Run) -> str:
    """`b 1.00, a 2.00 ≈ c 2.01`: the best first; ≈ stands where the difference from the one before does not count."""
    order = sorted(runs, key=lambda name: -metric.gain(runs[name], floor))
    parts = [f"{order[0]} {metric.text(runs[order[0]])}"]
    for before, name in zip(order, order[1:], strict=False):
        sign = ", " if metric.verdict(runs[before], runs[name], floor) else " ≈ "
        parts.append(f"{sign}{name} {metric.text(runs[name])}")
    return "".join(parts)


def leaders(metric: Metric, runs: Mapping[str, Run], floor: Run) -> list[str]:
    """The best run and all that it does not beat by more than the margin."""
    best = max(runs, key=lambda name: metric.gain(runs[name], floor))
    return [name for name in runs if metric.verdict(runs[best], runs[name], floor) == 0]


def grouped(items: Sequence, key: Callable) -> dict:
    """Key -> the items that have it, in their order."""
    groups: dict = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups

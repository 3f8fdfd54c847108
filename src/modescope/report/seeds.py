"""Rows that were trained with several seeds: how much a score owes to its seed, and which differences exceed that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from modescope.report.results import Results, Run
from modescope.report.scores import data_names
from modescope.report.tables import Column, Table, Value, columns
from modescope.report.texts import SHARED

RESAMPLES, BOOTSTRAP_SEED = 10_000, 0


@dataclass(frozen=True)
class Repeated:
    """A row with its runs by training seed, the first that of the other tables."""

    label: str
    runs: Mapping[int, Run]

    def values(self, metric: str) -> dict[int, float]:
        """Seed -> value."""
        return {seed: run.values[metric] for seed, run in self.runs.items() if metric in run.values}


class Seeds:
    """The rows of a study that are trained with every seed of `seeds`: `seed` and `seeds.more` of params.yaml.

    Those of a group are compared with each other. `names` are those of a row's runs by seed.
    """

    def __init__(self, results: Results, groups: Sequence[Sequence[str]]) -> None:
        params = results.params
        self.seeds = (params.seed, *params.seeds.more) if params.seeds.more else ()
        rows = [row for group in groups for row in group if self.seeds]
        self.results, self.groups = results, groups
        self.names = {row: {seed: params.run_name(row, seed) for seed in self.seeds} for row in rows}

    @property
    def further(self) -> list[str]:
        """The names of the runs beyond a row's first."""
        return [name for row, named in self.names.items() for name in named.values() if name != row]

    def tables(self, end: str, metrics: Sequence[Column]) -> list[Table]:
        """Spreads of all rows and differences within groups; none where nothing is repeated. `end` ends the names."""
        if not self.names:
            return []
        runs = self.results.runs
        rows = {row: Repeated(row, {s: runs[name] for s, name in named.items()}) for row, named in self.names.items()}
        compared = [(rows[one], rows[other]) for group in self.groups for one, other in combinations(group, 2)]
        return [
            spreads(f"seeds{end}", self.results, list(rows.values()), metrics, "The other tables have the first seed."),
            differences(f"differences{end}", self.results, compared, metrics),
        ]


def spreads(name: str, results: Results, rows: Sequence[Repeated], metrics: Sequence[Column], note: str) -> Table:
    """Mean and standard deviation of every metric over the training runs of a row."""
    shown = [*columns("row", "n", "seeds"), *(replace(metric, spread=f"{metric.key}_sd") for metric in metrics)]
    lines: list[dict[str, Value]] = []
    for row in rows:
        line: dict[str, Value] = {"row": row.label, "n": len(row.runs), "seeds": ", ".join(map(str, row.runs))}
        line["run"] = " ".join(run.name for run in row.runs.values())
        for metric in metrics:
            values = list(row.values(metric.key).values())
            if len(values) > 1:
                line |= {metric.key: float(np.mean(values)), f"{metric.key}_sd": float(np.std(values, ddof=1))}
        lines.append(line)
    return SHARED("seeds", note=note)._replace(name=name).table(lines, _facts(results, rows), shown)


def differences(
    name: str, results: Results, pairs: Sequence[tuple[Repeated, Repeated]], metrics: Sequence[Column]
) -> Table:
    """Mean differences between rows with a paired bootstrap interval, seed by seed."""
    shown = columns("pair", "metric", "n", "difference", "low", "high", "verdict")
    lines: list[dict[str, Value]] = []
    for one, other in pairs:
        for metric in metrics:
            gaps = paired_differences(one.values(metric.key), other.values(metric.key))
            if len(gaps) > 1:
                (low, high), names = bootstrap_interval(gaps), [metric.title, *([metric.group] if metric.group else [])]
                line = {"pair": f"{one.label} − {other.label}", "metric": ", ".join(names), "n": len(gaps)}
                verdict = "yes" if low > 0 or high < 0 else "no"
                lines.append(line | {"difference": float(np.mean(gaps)), "low": low, "high": high, "verdict": verdict})
    fewest = min((int(line["n"]) for line in lines), default=0)
    # Of n differences with symmetric signs all agree with probability 2 * 2^-n = 2^(1-n). Up to 3 the interval reaches
    # from the least to the largest: one resample in n^n holds the least alone, more than the 2.5 % at each end.
    few = SHARED("few_pairs", pairs=fewest, chance=2.0 ** (1 - fewest)).caption if fewest <= 3 else ""
    text = SHARED("differences", resamples=RESAMPLES, few=few)
    return text._replace(name=name).table(lines, _facts(results, [row for pair in pairs for row in pair]), shown)


def paired_differences(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """one - other for every seed that both have, in `one`'s order."""
    return [value - other[seed] for seed, value in one.items() if seed in other]


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % percentile interval of the mean of two or more differences (Efron and Tibshirani 1993, chapter 13)."""
    from scipy.stats import bootstrap  # half a second, for rows with several seeds alone

    if len(set(differences)) == 1:
        return differences[0], differences[0]
    options = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(BOOTSTRAP_SEED)}
    interval = bootstrap((np.asarray(differences),), np.mean, **options).confidence_interval
    return float(interval.low), float(interval.high)


def _facts(results: Results, rows: Sequence[Repeated]) -> dict[str, str]:
    data = data_names([run for row in rows for run in row.runs.values()])
    return {"data": data, "seeds": f"evaluation {results.params.evaluation.seed}", "profile": results.profile}

"""Rows that were trained with several seeds: how much a score owes to its seed, and which differences between rows
outlast it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modescope.config import Params
from modescope.report.results import Results, Run
from modescope.report.scores import data_names
from modescope.report.tables import Column, Table, Value

RESAMPLES, BOOTSTRAP_SEED = 10_000, 0


@dataclass(frozen=True)
class Repeated:
    """A row with its runs by training seed, the first that of the other tables."""

    label: str
    runs: Mapping[int, Run]

    def values(self, metric: str) -> dict[int, float]:
        """Seed -> value."""
        return {seed: run.values[metric] for seed, run in self.runs.items() if metric in run.values}


def runs_by_seed(params: Params, rows: Sequence[str]) -> dict[str, dict[int, str]]:
    """Row -> seed -> run of the rows that are trained again, the first seed included; empty where `seeds.more` is."""
    seeds = (params.seed, *params.seeds.more) if params.seeds.more else ()
    return {row: {seed: params.run_name(row, seed) for seed in seeds} for row in rows if seeds}


def repeated(results: Results, runs: Mapping[str, Mapping[int, str]]) -> dict[str, "Repeated"]:
    """What `runs_by_seed` names, read."""
    return {
        row: Repeated(row, {seed: results.runs[name] for seed, name in named.items()}) for row, named in runs.items()
    }


def trained_again(results: Results, runs: Mapping[str, Mapping[int, str]]) -> list[Run]:
    """The runs of `runs_by_seed` beyond a row's first."""
    return [results.runs[name] for row, named in runs.items() for name in named.values() if name != row]


def spreads(name: str, results: Results, rows: Sequence[Repeated], metrics: Sequence[Column]) -> Table:
    """Mean and standard deviation of every metric over the trainings of a row."""
    columns = [Column("row", "row"), Column("n", "n"), Column("seeds", "seeds")]
    columns += [
        Column(metric.key, metric.title, metric.group, metric.digits, metric.scale, f"{metric.key}_sd")
        for metric in metrics
    ]
    lines: list[dict[str, Value]] = []
    for row in rows:
        line: dict[str, Value] = {"row": row.label, "n": len(row.runs), "seeds": ", ".join(map(str, row.runs))}
        for metric in metrics:
            values = list(row.values(metric.key).values())
            if len(values) > 1:
                line |= {metric.key: float(np.mean(values)), f"{metric.key}_sd": float(np.std(values, ddof=1))}
        lines.append(line)
    caption = "Rows that were trained with several seeds: mean ± standard deviation (n - 1) over trainings. The other tables have the first seed."
    return Table(name, "Over seeds", columns, lines, caption, _facts(results, rows))


def differences(
    name: str, results: Results, pairs: Sequence[tuple[Repeated, Repeated]], metrics: Sequence[Column]
) -> Table:
    """Which differences between rows outlast their seeds: a paired bootstrap of the mean difference, seed by seed."""
    columns = [
        Column("pair", "rows"),
        Column("metric", "metric"),
        Column("n", "pairs"),
        Column("difference", "mean", "difference", digits=3),
        Column("low", "from", "95 % interval", digits=3),
        Column("high", "to", "95 % interval", digits=3),
        Column("verdict", "outlasts the seeds"),
    ]
    lines: list[dict[str, Value]] = []
    for one, other in pairs:
        for metric in metrics:
            gaps = paired_differences(one.values(metric.key), other.values(metric.key))
            if len(gaps) > 1:
                low, high = bootstrap_interval(gaps)
                verdict = "yes" if low > 0 or high < 0 else "no"
                names = {
                    "pair": f"{one.label} − {other.label}",
                    "metric": f"{metric.title}, {metric.group}" if metric.group else metric.title,
                }
                lines.append(
                    names
                    | {"n": len(gaps), "difference": float(np.mean(gaps)), "low": low, "high": high, "verdict": verdict}
                )
    fewest = min((int(line["n"]) for line in lines), default=0)
    caption = (
        f"Paired by seed; percentile bootstrap of the mean difference, {RESAMPLES:,} resamples. With so few pairs an interval leaves out 0 when all differences "
        f"have one sign, which chance alone does in {2.0 ** (1 - fewest):.0%} of cases of {fewest} pairs: a `yes` is a hint, a `no` is a warning."
    )
    return Table(
        name,
        "Differences that outlast the seeds",
        columns,
        lines,
        caption,
        _facts(results, [row for pair in pairs for row in pair]),
    )


def paired_differences(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """one - other for every seed that both have, in `one`'s order."""
    return [value - other[seed] for seed, value in one.items() if seed in other]


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % percentile interval of the mean of two or more differences (Efron and Tibshirani 1993, chapter 13); always
    the same.
    """
    from scipy.stats import bootstrap  # half a second, for rows with several seeds alone

    if len(set(differences)) == 1:
        return differences[0], differences[0]
    options = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(BOOTSTRAP_SEED)}
    interval = bootstrap((np.asarray(differences),), np.mean, **options).confidence_interval
    return float(interval.low), float(interval.high)


def _facts(results: Results, rows: Sequence[Repeated]) -> dict[str, str]:
    runs = [run for row in rows for run in row.runs.values()]
    return {
        "data": data_names(runs),
        "seeds": f"evaluation {results.params.evaluation.seed}",
        "profile": results.profile,
    }

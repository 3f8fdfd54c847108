"""The classifiers in the report: who guides, who judges, and how good they are on real images."""

from modescope.config import Params
from modescope.report.page import Finding, Section
from modescope.report.results import Expected, Folders, Results
from modescope.report.tables import Column, Table

STUDY = "classifiers"
COLUMNS = (
    Column("classifier", "classifier"),
    Column("role", "role"),
    Column("network", "network"),
    Column("data", "data"),
    Column("seed", "seed"),
    Column("accuracy", "accuracy, % ↑", digits=2, scale=100),
    Column("nll", "NLL, nats ↓", digits=3),
    Column("ece_before", "before", "ECE, % ↓", digits=2, scale=100),
    Column("ece_after", "after", "ECE, % ↓", digits=2, scale=100),
    Column("temperature", "temperature", digits=3),
    Column("num_test", "n test"),
)


def expected_runs(params: Params, folders: Folders) -> Expected:
    """Every classifier of params.yaml with its folder."""
    return {STUDY: {name: folders.models / STUDY / name for name in params.classifiers}}


def section(results: Results) -> Section:
    """One table."""
    rows = []
    for name, chosen in results.params.classifiers.items():
        found = results.runs[name]
        identity = {"classifier": name, "role": chosen.role, "network": chosen.network, "seed": chosen.seed}
        rows.append({**identity, "data": found.info["data"]["name"], **found.scalars})
    caption = (
        "Classifiers on real test images. A guide may steer a generator's training; a judge, of another network and seed, "
        "measures the outcome. ECE = expected calibration error before and after temperature scaling."
    )
    table = Table(
        "classifiers", "Classifiers on real test images", COLUMNS, rows, caption, {"profile": results.profile}
    )
    worst = min(results.runs[name].values["accuracy"] for name in results.params.classifiers)
    text = f"Every classifier is right on at least {worst:.1%} of the real test images. On generated ones it is no surer than that."
    return Section(STUDY, "Classifiers: guide and judges", [Finding("Accuracy", text)], [table])

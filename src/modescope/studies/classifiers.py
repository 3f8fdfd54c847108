"""The classifiers: who guides, who judges, and how good they are on real images."""

from collections.abc import Mapping
from dataclasses import replace

from modescope.report.claims import Metric
from modescope.report.page import GLANCE, Finding
from modescope.report.results import Expected, Results
from modescope.report.tables import Table, column, columns
from modescope.studies.study import Study

NAME = "classifiers"
ACCURACY = Metric("accuracy", "accuracy", lower=False, kind="share", digits=1, scale=100, unit="%")
COLUMNS = (
    *columns("classifier", "role", "network", "data"),
    column("seed", group=""),
    *columns("accuracy", "nll", "ece_before", "ece_after", "temperature", "num_test"),
)
AT_A_GLANCE = ("classifier", "role", "network", "accuracy", "ece_after")


class Classifiers(Results):
    """Every classifier of params.yaml."""

    def expected(self) -> Expected:
        return {NAME: {name: self.folders.models / NAME / name for name in self.params.classifiers}}


def table(results: Classifiers) -> Table:
    """A row for every classifier."""
    rows: list[Mapping] = []
    for name, chosen in results.params.classifiers.items():
        found = results.runs[name]
        identity = {"classifier": name, "role": chosen.role, "network": chosen.network, "seed": chosen.seed}
        rows.append({**found.cells, **identity, "data": found.info.get("data", {}).get("name")})
    caption = (
        "Classifiers on real test images. A guide may steer a generator's training; a judge, of another network and "
        "seed, measures the result. ECE = expected calibration error before and after temperature scaling."
    )
    return Table(NAME, "Classifiers on real test images", COLUMNS, rows, caption, {"profile": results.profile})


def glance(results: Classifiers) -> Table:
    """Role, network and quality."""
    return replace(table(results), name=GLANCE, columns=columns(*AT_A_GLANCE))


def findings(results: Classifiers) -> list[Finding]:
    """How often the classifiers are right, and which of them least often."""
    least = min(results.runs.values(), key=ACCURACY.value)
    text = (
        f"The classifiers are right on {ACCURACY.spans(list(results.runs.values()))} of the real test images, "
        f"{least.name} least often. How sure they may be of generated images is not measured."
    )
    return [Finding("Accuracy", text)]


STUDY = Study(NAME, "Classifiers: guide and judges", Classifiers, findings, lambda results: [table(results)], glance)

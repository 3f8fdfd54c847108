"""What a study is: its rows, its findings, its tables and figures, and the page that shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from modescope.config.studies import STUDIES
from modescope.report.figures import Picture
from modescope.report.page import EXPLORE, GAME, PAGE, PROFILE, RUNS, Finding, Page, RunFiles, Section
from modescope.report.results import Results, distinct
from modescope.report.tables import Table


@dataclass(frozen=True)
class Study:
    """A study of the project. Every part takes the study's rows with what is measured of them.

    Attributes:
        name: of its folders in models/, metrics/ and reports/, and of its experiment in MLflow.
        title: of its page.
        rows: which rows and runs it has.
        findings: sentences that follow from the numbers, the answer first.
        content: tables and figures in order, first the summary.
        glance: the table of at most five columns that README shows; it needs the metrics files alone.
        note: where the study differs from what it repeats.
    """

    name: str
    title: str
    rows: type[Results]
    findings: Callable[[Any], Sequence[Finding]]
    content: Callable[[Any], Sequence[Table | Picture]]
    glance: Callable[[Any], Table]
    note: Callable[[Any], str] = lambda results: ""

    def section(self, results: Results) -> Section:
        """All that its page holds."""
        folders = results.folders
        runs = [RunFiles.of(run, folders, folders.page(self.name)) for run in results.runs.values()]
        found, content = self.findings(results), self.content(results)
        return Section(self.name, self.title, found, content, self.note(results), runs=runs)

    def page(self, results: Results) -> Page:
        """Header and section; all of it depends on `results` alone."""
        infos = [found.info for found in results.runs.values()]
        facts = {
            "data": [info["data"]["name"] for info in infos],
            PROFILE: [results.profile],
            RUNS: [str(len(infos))],
            "device": [info["device"] for info in infos],
            "precision": [info["precision"] for info in infos],
            "torch": [info["versions"]["torch"] for info in infos],
        }
        header = [(name, distinct(values)) for name, values in facts.items()]
        others = (
            (question[0].upper() + question[1:], f"../{name}/{PAGE}" if name != self.name else "")
            for name, question in STUDIES.items()
        )
        title, file = GAME
        links = [("Overview", f"../{PAGE}"), *others, (title, f"../{file}")]
        explored = results.params.inside.explored(self.name)
        lead = INSIDE.format(explored) if explored else ""
        return Page(self.title, lead, header, [self.section(results)], links, SOURCE)


INSIDE = Markup(f'<a href="{EXPLORE}">Look inside a generator</a>: move through the latent space of {{}} yourself.')
SOURCE = "The metrics files agree with what MLflow holds."
LEAD = (
    "Mode collapse in small image generators, measured: which classes a generator forgets, how good the rest looks, "
    "and how far any of it is from what real images score."
)

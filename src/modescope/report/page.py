"""A page of the report: one HTML file that needs nothing else, and what lies beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modescope.files import atomic_path, read_json, write_json
from modescope.report.figures import Picture
from modescope.report.results import distinct
from modescope.report.tables import Table, to_csv, to_markdown

FINDINGS, PAGE, GLANCE = "findings.json", "index.html", "readme"


@dataclass(frozen=True)
class Finding:
    """A sentence or two of what was found, under a heading of a few words."""

    head: str
    text: str


@dataclass(frozen=True)
class Section:
    """One study on the page: what was found, then its tables and figures in order. `link` is where there is more."""

    name: str
    title: str
    findings: Sequence[Finding]
    content: Sequence[Table | Picture]
    note: str = ""
    link: str = ""

    @cached_property
    def places(self) -> Mapping[str, tuple[str, int]]:
        """Run -> table and index of the row that has its scores: the first one after the summary at the top."""
        found: dict[str, tuple[str, int]] = {}
        tables = [item for item in self.content if isinstance(item, Table)]
        for table in tables[1:] or tables:
            for index, row in enumerate(table.rows):
                for run in str(row.get("run") or "").split():
                    found.setdefault(run, (table.name, index))
        return found

    def runs_at(self, table: str, row: int) -> list[str]:
        """The runs that have their place in a row: it is found by their names."""
        return [run for run, place in self.places.items() if place == (table, row)]


@dataclass(frozen=True)
class Page:
    """A whole page. `facts` are (name, value) pairs of the header."""

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def to_html(page: Page) -> str:
    """The page as self-contained HTML: images inside, no script, no address outside."""
    options = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), **options)
    templates.tests["table"] = lambda content: isinstance(content, Table)
    return templates.get_template("page.html.j2").render(page=page)


def write_study(page: Page, glance: Table, folder: Path) -> None:
    """Write a study's page as `folder`: tables/*.md, tables/*.csv, figures/*.png, index.html, and findings.json.

    `glance` is the table of five columns that README shows.
    """
    html, (section,) = to_html(page), page.sections
    tables = [item for item in section.content if isinstance(item, Table)]
    with atomic_path(folder) as whole:
        for kind in ("tables", "figures"):
            (whole / kind).mkdir(parents=True)
        for table in (*tables, glance):
            (whole / "tables" / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
            (whole / "tables" / f"{table.name}.csv").write_text(to_csv(table), encoding="utf-8")
        for picture in (item for item in section.content if isinstance(item, Picture)):
            (whole / "figures" / f"{picture.name}.png").write_bytes(picture.png)
        (whole / PAGE).write_text(html, encoding="utf-8")
        findings = [vars(found) for found in section.findings]
        write_json(whole / FINDINGS, {"title": section.title, "facts": dict(page.facts), "findings": findings})


def write_overview(lead: str, studies: Sequence[Path], file: Path) -> None:
    """Write the overview of the studies in the folders `studies`: what each found, and a link to its page.

    Raises UserError if one has no page yet.
    """
    summaries = {folder.name: read_json(folder / FINDINGS) for folder in studies}
    sections = [
        Section(name, found["title"], [Finding(**one) for one in found["findings"]], [], link=f"{name}/{PAGE}")
        for name, found in summaries.items()
    ]
    every = [summary["facts"] for summary in summaries.values()]
    shared = [name for name in every[0] if all(name in facts for facts in every)]
    html = to_html(Page("Modescope", lead, [(name, distinct([f[name] for f in every])) for name in shared], sections))
    with atomic_path(file) as temporary:
        temporary.write_text(html, encoding="utf-8")

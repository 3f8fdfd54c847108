"""The report's page: one HTML file that needs nothing else."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modescope.files import atomic_path, read_json, write_json
from modescope.report.results import distinct
from modescope.report.tables import Table, to_csv, to_markdown

FINDINGS = "findings.json"


@dataclass(frozen=True)
class Picture:
    """A figure as PNG bytes. `alt` says what it shows to those who cannot see it."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes

    @property
    def data_uri(self) -> str:
        """For an `img` element."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


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


@dataclass(frozen=True)
class Page:
    """The whole report. `facts` are (name, value) pairs of the header."""

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def to_html(page: Page) -> str:
    """The page as self-contained HTML: images inside, no script, no address outside."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.tests["table"] = lambda content: isinstance(content, Table)
    return templates.get_template("page.html.j2").render(page=page)


def write_study(page: Page, folder: Path) -> None:
    """Write a study's page as `folder`: tables/*.md, tables/*.csv, figures/*.png, index.html, and findings.json for the
    page above it.
    """
    html = to_html(page)
    with atomic_path(folder) as whole:
        whole.mkdir()
        write_content(page, whole)
        (whole / "index.html").write_text(html)
        summary = {
            "title": page.sections[0].title,
            "facts": dict(page.facts),
            "findings": [vars(found) for found in page.sections[0].findings],
        }
        write_json(whole / FINDINGS, summary)


def write_overview(lead: str, studies: Sequence[Path], file: Path) -> None:
    """Write the page above the studies' folders: what each found, and where the rest is. Raises UserError if one has no
    page yet.
    """
    summaries = {folder.name: read_json(folder / FINDINGS) for folder in studies}
    sections = [
        Section(
            name, summary["title"], [Finding(**found) for found in summary["findings"]], [], link=f"{name}/index.html"
        )
        for name, summary in summaries.items()
    ]
    every = [summary["facts"] for summary in summaries.values()]
    facts = [
        (name, distinct([facts[name] for facts in every])) for name in every[0] if all(name in facts for facts in every)
    ]
    html = to_html(Page("Modescope", lead, facts, sections))
    with atomic_path(file) as temporary:
        temporary.write_text(html)


def write_content(page: Page, folder: Path) -> None:
    """Tables and figures of a page below `folder`."""
    content = [item for section in page.sections for item in section.content]
    for kind in ("tables", "figures"):
        (folder / kind).mkdir()
    for table in (item for item in content if isinstance(item, Table)):
        (folder / "tables" / f"{table.name}.md").write_text(to_markdown(table))
        (folder / "tables" / f"{table.name}.csv").write_text(to_csv(table))
    for picture in (item for item in content if isinstance(item, Picture)):
        (folder / "figures" / f"{picture.name}.png").write_bytes(picture.png)

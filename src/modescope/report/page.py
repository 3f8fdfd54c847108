"""The report's page: one HTML file that needs nothing else."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modescope.files import atomic_path
from modescope.report.tables import Table, to_csv, to_markdown


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
    """One study on the page: what was found, then its tables and figures in order."""

    name: str
    title: str
    findings: Sequence[Finding]
    content: Sequence[Table | Picture]
    note: str = ""


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


def write_page(page: Page, folder: Path) -> None:
    """Write tables/*.md, tables/*.csv, figures/*.png and index.html below `folder`, replacing what a former report left there."""
    html = to_html(page)
    content = [item for section in page.sections for item in section.content]
    with atomic_path(folder / "tables") as tables:
        tables.mkdir()
        for table in (item for item in content if isinstance(item, Table)):
            (tables / f"{table.name}.md").write_text(to_markdown(table))
            (tables / f"{table.name}.csv").write_text(to_csv(table))
    with atomic_path(folder / "figures") as figures:
        figures.mkdir()
        for picture in (item for item in content if isinstance(item, Picture)):
            (figures / f"{picture.name}.png").write_bytes(picture.png)
    with atomic_path(folder / "index.html") as file:
        file.write_text(html)

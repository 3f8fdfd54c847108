"""A page of the report: one HTML file that needs nothing else, and what lies beside it."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from modescope.files import atomic_path, read_json, write_json
from modescope.report.figures import Picture
from modescope.report.results import Folders, Run, distinct
from modescope.report.tables import Table, best_scores, to_csv, to_markdown
from modescope.runs.folder import CURVES_FILE, RUN_FILE

FINDINGS, SUMMARY, PAGE, GLANCE = "findings.json", "summary.json", "index.html", "readme"
GAME = ("GAN vs Human", "game.html")  # title and file of the stage `game`, beside the overview
EXPLORE = "explore.html"  # beside a study's page: its generator, inside
PROFILE, RUNS = "profile", "runs"  # facts of a page's header
BANNERS = {  # by profile
    "demo": "Demo: small networks, minutes of training. It shows how things work; its numbers mean nothing."
}


@dataclass(frozen=True)
class Finding:
    """A sentence or two of what was found, under a heading of a few words."""

    head: str
    text: str


@dataclass(frozen=True)
class Html:
    """A part of a page that is HTML as it is."""

    name: str
    title: str
    html: Markup
    folded: bool = False

    @property
    def place(self) -> str:
        """Its anchor on a page."""
        return f"part-{self.name}"


@dataclass(frozen=True)
class RunFiles:
    """Where a run's files and its page in MLflow are found: label -> address from a study's page, and its key."""

    name: str
    key: str
    files: Mapping[str, str]

    @classmethod
    def of(cls, run: Run, folders: Folders, page: Path) -> "RunFiles":
        """Those that exist, as addresses from a page in the folder `page`."""
        files = {"samples": max((run.folder / "samples").glob("*.png"), default=Path())}
        files |= {"curves": run.folder / CURVES_FILE, "run": run.folder / RUN_FILE}
        files |= {"metrics": folders.metrics_file(run.study, run.name)}
        found = {label: os.path.relpath(file, page) for label, file in files.items() if file.is_file()}
        return cls(run.name, run.info["key"], found)


@dataclass(frozen=True)
class Section:
    """One study on the page: what was found, the answer first, then its tables and figures in order.

    The first figure is shown with the answer. `link` is where there is more, `image` the figure from there (src, alt);
    `has_files`: its tables lie beside the page, too.
    """

    name: str
    title: str
    findings: Sequence[Finding]
    content: Sequence[Table | Picture | Html]
    note: str = ""
    link: str = ""
    runs: Sequence[RunFiles] = ()
    image: Mapping[str, str] = field(default_factory=dict)
    has_files: bool = True

    @property
    def tables(self) -> list[Table]:
        """All its tables."""
        return [item for item in self.content if isinstance(item, Table)]

    @property
    def picture(self) -> Picture | None:
        """What is shown with the answer."""
        return next((item for item in self.content if isinstance(item, Picture) and not item.folded), None)

    @property
    def shown(self) -> list[Table | Picture | Html]:
        """What follows the answer."""
        return [item for item in self.content if not item.folded and item is not self.picture]

    @property
    def folded(self) -> list[Table | Picture | Html]:
        """What is shown on demand."""
        return [item for item in self.content if item.folded]

    @property
    def warnings(self) -> list[str]:
        """Every table's, each once."""
        return list(dict.fromkeys(note for table in self.tables for note in table.notes))

    @cached_property
    def common_facts(self) -> dict[str, str]:
        """What all tables' numbers rest on, by name: said once on the page."""
        facts = [fact for table in self.tables for fact in table.facts.items()]
        return {name: value for name, value in facts if all(value == other for of, other in facts if of == name)}

    def own_facts(self, table: Table) -> dict[str, str]:
        """What else a table's numbers rest on."""
        return {name: value for name, value in table.facts.items() if name not in self.common_facts}

    @cached_property
    def places(self) -> Mapping[str, tuple[str, int]]:
        """Run -> table and index of the row that has its scores: the first one after the summary at the top."""
        found: dict[str, tuple[str, int]] = {}
        for table in self.tables[1:] or self.tables:
            for index, row in enumerate(table.rows):
                for run in str(row.get("run") or "").split():
                    found.setdefault(run, (table.name, index))
        return found

    def runs_at(self, table: str, row: int) -> list[str]:
        """The runs that have their place in a row: it is found by their names."""
        return [run for run, place in self.places.items() if place == (table, row)]


@dataclass(frozen=True)
class Page:
    """A whole page. `facts` are (name, value) pairs of the header, `links` titles and addresses of the report's pages.

    The page's own address is empty. `source` says where its numbers are from.
    """

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    links: Sequence[tuple[str, str]] = ()
    source: str = ""


def environment(*folders: Path) -> Environment:
    """Templates of pages, looked for in `folders` and then here."""
    loader = FileSystemLoader([*folders, Path(__file__).parent])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def to_html(page: Page) -> str:
    """The page as HTML that shows all without another file: images, style and script inside, no address outside."""
    templates = environment()
    templates.tests["html"] = lambda content: isinstance(content, Html)
    templates.tests["table"] = lambda content: isinstance(content, Table)
    templates.filters["code"] = _code
    banner = BANNERS.get(dict(page.facts).get(PROFILE), "")
    return templates.get_template("page.html.j2").render(page=page, banner=banner)


def _code(text: str) -> Markup:
    """Text with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def write_study(page: Page, glance: Table, folder: Path, further: Mapping[str, str] | None = None) -> None:
    """Write a study's page as `folder`: tables/*.md, tables/*.csv, figures/*.png, vector/*.svg, index.html and two
    JSON files.

    `glance` is the table of five columns that README shows; `further` pages stand beside the first, by file.
    """
    html, (section,) = to_html(page), page.sections
    with atomic_path(folder) as whole:
        for kind in ("tables", "figures", "vector"):
            (whole / kind).mkdir(parents=True)
        for table in (*section.tables, glance):
            (whole / "tables" / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
            (whole / "tables" / f"{table.name}.csv").write_text(to_csv(table), encoding="utf-8")
        for picture in (item for item in section.content if isinstance(item, Picture)):
            (whole / picture.address).write_bytes(picture.png)
            if picture.svg:
                (whole / picture.vector_address).write_text(picture.svg, encoding="utf-8")
        for file, text in {PAGE: html, **(further or {})}.items():
            (whole / file).write_text(text, encoding="utf-8")
        findings, shown = [vars(found) for found in section.findings], section.picture
        image = {"src": shown.address, "alt": shown.alt} if shown else {}
        found = {"title": section.title, "facts": dict(page.facts), "findings": findings, "image": image}
        write_json(whole / FINDINGS, found)
        write_json(whole / SUMMARY, {section.name: best_scores(glance)})


def write_overview(lead: str, studies: Sequence[Path], file: Path) -> None:
    """Write the overview of the studies in the folders `studies`: what each found, and a link to its page.

    Raises UserError if one has no page yet.
    """
    wanted = {"title": str, "facts": dict, "findings": list, "image": dict}
    summaries = {folder.name: read_json(folder / FINDINGS, **wanted) for folder in studies}
    sections = []
    for name, told in summaries.items():
        found, image = [Finding(**one) for one in told["findings"]], dict(told["image"])
        image |= {"src": f"{name}/{image['src']}"} if image else {}
        sections.append(Section(name, told["title"], found, [], link=f"{name}/{PAGE}", image=image))
    every = [summary["facts"] for summary in summaries.values()]
    shared = [name for name in every[0] if name != RUNS and all(name in facts for facts in every)]
    facts = [(name, distinct([part for facts in every for part in facts[name].split(", ")])) for name in shared]
    html = to_html(Page("Modescope", lead, facts, sections, [("Overview", ""), GAME]))
    with atomic_path(file) as temporary:
        temporary.write_text(html, encoding="utf-8")

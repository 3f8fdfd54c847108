"""The page: self-contained, repeatable, and its findings follow from the numbers."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from collisions import collisions
from made_up import build_project
from modescope.errors import UserError
from modescope.report import figures, vector
from modescope.report.figures import Picture
from modescope.report.page import Finding, Page, Section, to_html, write_overview, write_study
from modescope.report.tables import Column, Table
from modescope.studies import STUDIES, imbalance
from modescope.studies.imbalance.findings import findings

TABLE = Table(
    "small",
    "Small <table>",
    (Column("name", "name"), Column("value", "v", "group")),
    ({"name": "a & b", "value": 1.0},),
    "Caption.",
)
SVG = '<svg><g class="series" data-look="a"><title>run a</title></g></svg>'
PICTURE = Picture("dot", "Dot", "A dot.", "a dot", b"\x89PNG")
GLANCE = Table("readme", "At a glance", TABLE.columns, TABLE.rows)
PAGE = Page(
    "Title",
    "Lead.",
    (("data", "digits"),),
    (Section("one", "One", [Finding("Head", "Text")], (TABLE, PICTURE), "Note."),),
)


INSIDE_TABLES = ("inside", "inside_coverage", "inside_paths")


def inside(*runs):
    """Tables and figures on looks inside runs."""
    shown = [f"{kind}_{run}" for run in runs for kind in ("failures", "between")]
    return ["inside", "inside_lost", "inside_coverage", "inside_clusters", *shown, "inside_paths", "inside_strips"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return build_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def collided():
    """What collides in the figures of `pages`."""
    return []


@pytest.fixture(scope="module")
def unnamed():
    """Whether nothing has a name, of every figure of `pages` with a legend."""
    return []


@pytest.fixture(scope="module")
def pages(project, collided, unnamed):
    def watched(draw, width, height):
        drawn = []
        png = render(lambda figure: drawn.append(figure) or draw(figure), width, height)
        collided.extend(collisions(drawn[0]))
        if drawn[0].legends:
            unnamed.append(not drawn[0].findobj(lambda artist: (artist.get_gid() or "").startswith(vector.SERIES)))
        return png

    render = figures.render
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "render", watched)
        patch.setattr(vector, "to_svg", lambda *drawing: SVG)
        return {name: study.page(project.read(name)) for name, study in STUDIES.items()}


def test_no_text_of_a_figure_collides(pages, collided):
    assert collided == []


def test_every_chart_with_a_legend_names_what_it_shows(pages, unnamed):
    assert len(unnamed) >= 8 and not any(unnamed)


def test_colliding_text_is_seen():
    figure = Figure(figsize=(4, 4))
    FigureCanvasAgg(figure)
    for x, name in ((0.3, "one"), (0.32, "two"), (0.99, "beyond the edge")):
        figure.text(x, 0.5, name)
    assert [found.split(" ")[0] for found in collisions(figure)] == ["one", "beyond"]


class Links(HTMLParser):
    """Collects tags and what they refer to."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.sources = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name == "href"]
        self.sources += [value for name, value in attributes if name in ("src", "srcset", "action", "data")]


def parsed(html):
    links = Links()
    links.feed(html)
    return links


def test_a_large_sheet_has_fewer_colours_on_the_page(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8))
    noise.save(tmp_path / "noise.png")
    png = (tmp_path / "noise.png").read_bytes()
    assert len(png) > figures.LARGE
    inside = base64.b64decode(replace(PICTURE, png=png).data_uri.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(inside)) as shown:
        assert shown.size == noise.size and len(shown.convert("RGB").getcolors()) <= 256
    assert len(inside) < len(png) / 2


def test_page_shows_everything_escaped():
    html = to_html(PAGE)
    for text in (
        "<h1>Title</h1>",
        "Lead.",
        "digits",
        "<strong>Head.</strong> Text",
        "Small &lt;table&gt;",
        "a &amp; b",
        "Caption.",
        "A dot.",
        "Note.",
    ):
        assert text in html
    assert "data:image/png;base64,iVBORw==" in html and 'alt="a dot"' in html


@pytest.mark.parametrize("study", STUDIES)
def test_page_needs_nothing_else(pages, study):
    html = to_html(pages[study])
    links = parsed(html)
    assert not {"link", "iframe"} & set(links.tags) and links.tags.count("script") == 1
    assert all(source.startswith("data:image/png;base64,") for source in links.sources)
    assert not re.search(r"url\(|@import|import |fetch\(|https?:", html)
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert len(html) < 5_000_000


@pytest.fixture(scope="module")
def reports(pages, project):
    """The whole report as it is written."""
    folder = project.root / "reports"
    for name, page in pages.items():
        write_study(page, STUDIES[name].glance(project.read(name)), folder / name)
    write_overview("Lead.", [folder / name for name in pages], folder / "index.html")
    (folder / "game.html").touch()  # of a stage of its own
    return folder


def test_every_address_leads_somewhere(reports):
    pages = {file: parsed(file.read_text()) for file in sorted(reports.rglob("index.html"))}
    assert len(pages) == 1 + len(STUDIES)
    for file, links in pages.items():
        for address in links.addresses + [source for source in links.sources if not source.startswith("data:")]:
            path, _, place = address.partition("#")
            target = (file.parent / path).resolve() if path else file
            assert target.is_file(), f"{file}: {address}"
            assert not place or f'id="{place}"' in target.read_text(), f"{file}: {address}"


@pytest.mark.parametrize("study", STUDIES)
def test_two_clicks_lead_from_the_overview_to_every_table_and_run(reports, project, study):
    """One to the study's page, whose addresses are the rest."""
    assert {f"{study}/index.html", f"{study}/index.html#runs"} <= set(
        parsed((reports / "index.html").read_text()).addresses
    )
    html = (reports / study / "index.html").read_text()
    addresses = parsed(html).addresses
    tables = {f"tables/{file.name}" for file in (reports / study / "tables").glob("*.csv")} - {"tables/readme.csv"}
    assert tables and tables <= set(addresses) and "../index.html" in addresses
    for name, run in project.read(study).runs.items():
        assert f"tags.key = &#39;{run.info['key']}&#39;" in html or f"tags.key = '{run.info['key']}'" in html
        assert f"../../metrics/{run.study}/{name}.json" in addresses
    samples = [address for address in addresses if "/samples/" in address]
    assert len(samples) == sum((run.folder / "samples").is_dir() for run in project.read(study).runs.values())


def test_what_the_page_says_it_says_once(tmp_path):
    """Warnings, and what all tables rest on."""
    project = build_project(tmp_path, splits=("split1",))
    project.change("gan-split1", warnings=["few images: run `dvc repro`"])
    project.change("real-split1", warnings=["few neighbours"])
    results = project.read("imbalance")
    scores = [imbalance.tables.scores(results, name, (name,)) for name in ("gan", "vae")]
    html = to_html(replace(PAGE, sections=[Section("one", "One", [Finding("Head", "Text")], scores)]))
    assert (
        html.count("few neighbours") == html.count("run <code>dvc repro</code>.") == 1
        and "`" not in html.split("<script>")[0]
    )
    assert html.count("weights sha256") == 1


def test_chips_do_not_repeat(reports):
    header = (reports / "index.html").read_text().partition("</header>")[0]
    assert "<dd>cifar10-jpeg, mnist</dd>" in header and header.count("mnist") == 1


def test_a_demo_says_that_it_is_one():
    facts, said = (("profile", "demo"),), "its numbers mean nothing"
    assert said in to_html(replace(PAGE, facts=facts)) and said not in to_html(PAGE)


def test_page_names_data_profile_device_and_runs(pages, project):
    assert dict(pages["cgan"].facts) == {
        "data": "mnist",
        "profile": "custom",
        "runs": str(len(project.read("cgan").runs)),
        "device": "cpu",
        "precision": "fp32",
        "torch": "2.13.0",
    }


def test_same_inputs_give_the_same_bytes(pages, project, tmp_path, monkeypatch):
    monkeypatch.setattr(vector, "to_svg", lambda *drawing: SVG)  # as in `pages`

    def written(name, page, folder):
        write_study(page, STUDIES[name].glance(project.read(name)), folder)
        return {file.relative_to(folder): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}

    first = {}
    for name, study in STUDIES.items():
        files = written(name, pages[name], tmp_path / "first" / name)
        assert files == written(name, study.page(project.read(name)), tmp_path / "second" / name)
        first |= files
    assert {str(path) for path in first} == {
        "index.html",
        "findings.json",
        "summary.json",
        *(
            f"tables/{name}.{kind}"
            for name in (
                *("readme", "summary", "splits", "class_share", "gan", "vae", "runs", "classifiers"),
                *INSIDE_TABLES,
                *(
                    "two_stage_summary",
                    "two_stage",
                    "class_consistency",
                    "priors",
                    "hybrid",
                    "seeds_two_stage",
                    "runs_two_stage",
                ),
                *(
                    "cgan_summary",
                    "cgan",
                    "cgan_consistency",
                    "cgan_pixel_std",
                    "cgan_diversity",
                    "cgan_ours",
                    "stacked",
                    "runs_cgan",
                ),
            )
            for kind in ("md", "csv")
        ),
        *(
            f"figures/{name}.png"
            for name in (
                *("class_share", "figure1_gan", "figure2_vae", "samples", "reconstructions", "curves"),
                *({*inside("gan-balanced", "stage1", "cgan-ours", "cgan-bce")} - {*INSIDE_TABLES}),
                *(
                    "architectures",
                    "dcgan",
                    "figure11",
                    "best_rows",
                    "adapter_starts",
                    "consistency_fid",
                    "confusion",
                    "gradients",
                    "curves_two_stage",
                ),
                *(
                    "figure7_1",
                    "figure7_2",
                    "samples_cgan",
                    "fixed_z",
                    "per_class",
                    "samples_dcgan",
                    "stacked_samples",
                    "curves_cgan",
                ),
            )
        ),
        *(
            f"vector/{name}.svg"
            for name in (
                *("class_share", "figure1_gan", "figure2_vae", "curves"),
                *("consistency_fid", "confusion", "gradients", "curves_two_stage"),
                *("figure7_1", "figure7_2", "curves_cgan", "inside_clusters"),
            )
        ),
    }


def test_a_former_report_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("reports/small")
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "old.md").write_text("old")
    write_study(PAGE, GLANCE, folder)
    assert {file.name for file in (folder / "tables").iterdir()} == {
        "small.md",
        "small.csv",
        "readme.md",
        "readme.csv",
    }
    assert (folder / "figures" / "dot.png").read_bytes() == b"\x89PNG"


def test_the_overview_has_every_studys_findings_and_leads_to_its_page(tmp_path):
    for name in ("one", "two"):
        write_study(PAGE, GLANCE, tmp_path / name)
    write_overview("Lead.", [tmp_path / "one", tmp_path / "two"], tmp_path / "index.html")
    html = (tmp_path / "index.html").read_text()
    assert html.count("<strong>Head.</strong> Text") == 2
    links = parsed(html)
    assert {address for address in links.addresses if not address.startswith("#")} == {
        *("game.html", "one/index.html", "one/index.html#runs", "two/index.html", "two/index.html#runs")
    }
    assert links.sources == ["one/figures/dot.png", "two/figures/dot.png"]


def test_an_overview_without_a_page_says_which(tmp_path):
    with pytest.raises(UserError, match="one/findings.json is missing"):
        write_overview("Lead.", [tmp_path / "one"], tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    ("gan", "vae", "wording"),
    [
        (0.3, 0.1, "closer on 2 of 2 splits and the GAN on 0"),
        (0.1, 0.3, "closer on 0 of 2 splits and the GAN on 2"),
        (0.1, 0.102, "on 2 they differ by no more than the floor"),
    ],
)
def test_coverage_finding_counts_only_differences_above_the_floor(tmp_path, gan, vae, wording):
    project = build_project(tmp_path)
    for split in project.params.imbalance.splits:
        for model, value in (("gan", gan), ("vae", vae), ("real", 0.005)):
            project.change(f"{model}-{split}", class_share_tv=value)
    found = findings(project.read("imbalance"))
    assert wording in found[0].text


def test_findings_name_the_rarest_class_and_count_lost_ones(tmp_path):
    project = build_project(tmp_path, splits=("split4",))
    project.change("gan-split4", class_share=[0.2, 0.0, 0.001, 0.2, 0.2, 0.2, 0.0, 0.199, 0.0, 0.0])
    texts = {finding.head: finding.text for finding in findings(project.read("imbalance"))}
    assert (
        "split4 (IR 4.75) bird is 5.0% of the training images" in texts["Rarest class"]
        and "GAN 0.1%" in texts["Rarest class"]
    )
    assert "of 5 over all splits: GAN 1, VAE 0, VAE-GMM 0" in texts["Lost classes"]


@pytest.mark.parametrize(
    ("evaluated", "names"),
    [
        (
            ["gan"],
            [
                *("summary", "splits", "class_share", "class_share", "gan", "figure1_gan", "samples"),
                *inside("gan-split1"),
                *("curves", "runs"),
            ],
        ),
        (
            ["vae-gmm", "vae"],
            [
                "summary",
                "splits",
                "class_share",
                "class_share",
                "vae",
                "figure2_vae",
                "samples",
                "reconstructions",
                *inside("vae-gmm-split1"),
                "curves",
                "runs",
            ],
        ),
    ],
)
def test_the_section_holds_only_what_was_evaluated(tmp_path, evaluated, names):
    project = build_project(tmp_path, splits=("split1",), evaluated=evaluated)
    section = imbalance.STUDY.section(project.read("imbalance"))
    assert [item.name for item in section.content] == names
    assert section.findings

"""The page: self-contained, repeatable, and its findings follow from the numbers."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from made_up import build_project
from modescope.errors import UserError
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
PICTURE = Picture("dot", "Dot", "A dot.", "a dot", b"\x89PNG")
GLANCE = Table("readme", "At a glance", TABLE.columns, TABLE.rows)
PAGE = Page(
    "Title",
    "Lead.",
    (("data", "digits"),),
    (Section("one", "One", [Finding("Head", "Text")], (TABLE, PICTURE), "Note."),),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return build_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def pages(project):
    return {name: study.page(project.read(name)) for name, study in STUDIES.items()}


class Links(HTMLParser):
    """Collects tags and what they refer to."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]


def parsed(html):
    links = Links()
    links.feed(html)
    return links


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
    assert not {"script", "link", "iframe"} & set(links.tags)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in links.addresses)
    assert "url(" not in html and "@import" not in html
    assert "prefers-color-scheme: dark" in html


def test_page_names_data_profile_device_and_runs(pages, project):
    assert dict(pages["cgan"].facts) == {
        "data": "mnist",
        "profile": "custom",
        "runs": str(len(project.read("cgan").runs)),
        "device": "cpu",
        "precision": "fp32",
        "torch": "2.13.0",
    }


def test_same_inputs_give_the_same_bytes(pages, project, tmp_path):
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
        *(
            f"tables/{name}.{kind}"
            for name in (
                *("readme", "summary", "splits", "class_share", "gan", "vae", "runs", "classifiers"),
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
                *(
                    "architectures",
                    "dcgan",
                    "figure11",
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
    assert {address for address in parsed(html).addresses if not address.startswith("#")} == {
        "one/index.html",
        "two/index.html",
    }


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
            ["summary", "splits", "class_share", "class_share", "gan", "figure1_gan", "samples", "curves", "runs"],
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

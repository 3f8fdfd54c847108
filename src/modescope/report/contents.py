"""The report's table of contents: its studies in order, under one header."""

from modescope.config import Params
from modescope.report import classifiers, imbalance
from modescope.report.page import Page
from modescope.report.results import Expected, Folders, Reader, Results, distinct, load_results

# Each gives STUDY, expected_runs(params, folders) and section(results).
STUDIES = (imbalance, classifiers)
LEAD = (
    "Mode collapse in small image generators, measured: which classes a generator forgets, how good the rest looks, "
    "and how far any of it is from what real images score."
)


def expected_runs(params: Params, folders: Folders) -> Expected:
    """Every run that params.yaml asks for, of every study."""
    return {study.STUDY: study.expected_runs(params, folders) for study in STUDIES}


def collect(params: Params, folders: Folders, read_final: Reader) -> Results:
    """Read every run of every study. Raises UserError for a missing run or for a number that MLflow and its file disagree on."""
    return load_results(params, folders, expected_runs(params, folders), read_final)


def build_page(results: Results) -> Page:
    """Header and sections; all of it depends on `results` alone."""
    infos = [found.info for found in results.runs.values()]
    facts = (
        ("data", distinct([info["data"]["name"] for info in infos])),
        ("profile", results.profile),
        ("runs", str(len(infos))),
        ("device", distinct([info["device"] for info in infos])),
        ("precision", distinct([info["precision"] for info in infos])),
        ("torch", distinct([info["versions"]["torch"] for info in infos])),
    )
    return Page("Modescope", LEAD, facts, [study.section(results) for study in STUDIES])

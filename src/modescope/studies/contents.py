"""The report's table of contents: a page per study, made from that study's runs and those that it compares with."""

from collections.abc import Sequence
from types import ModuleType

from modescope.config import Params
from modescope.report.page import Page
from modescope.report.results import Expected, Folders, Reader, Results, distinct, load_results
from modescope.studies import cgan, classifiers, imbalance, two_stage

# Each gives STUDY, expected_runs(params, folders) and section(results).
STUDIES = {study.STUDY: study for study in (imbalance, two_stage, cgan, classifiers)}
LEAD = (
    "Mode collapse in small image generators, measured: which classes a generator forgets, how good the rest looks, "
    "and how far any of it is from what real images score."
)


def expected_runs(params: Params, folders: Folders, studies: Sequence[ModuleType]) -> Expected:
    """Every run that the pages of `studies` are made from."""
    expected: dict[str, dict] = {}
    for study in studies:
        for name, places in study.expected_runs(params, folders).items():
            expected.setdefault(name, {}).update(places)
    return expected


def collect(
    params: Params, folders: Folders, read_final: Reader, studies: Sequence[ModuleType] = tuple(STUDIES.values())
) -> Results:
    """Read every run of `studies`. Raises UserError for a missing run or for a number that MLflow and its file disagree
    on.
    """
    return load_results(params, folders, expected_runs(params, folders, studies), read_final)


def build_page(results: Results, studies: Sequence[ModuleType] = tuple(STUDIES.values())) -> Page:
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
    return Page("Modescope", LEAD, facts, [study.section(results) for study in studies])

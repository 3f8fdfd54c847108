"""What every table of scores shares: its columns, its warnings, and what its numbers rest on."""

from collections.abc import Iterable, Mapping, Sequence

from modescope.config import Params
from modescope.errors import UserError
from modescope.files import sha256
from modescope.report.figures import FLOOR
from modescope.report.results import Results, Run, distinct
from modescope.report.tables import COLLAPSED, Column, Value, columns
from modescope.report.texts import SHARED
from modescope.report.wording import span
from modescope.runs.folder import WEIGHTS_FILE

JUDGE, GUIDE, GREY_JUDGE = "rgb-judge", "rgb-guide", "grey-judge"
CLASSIFIERS = "classifiers"  # the study of guides and judges
INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth (torch-fidelity)"
SPREAD_NOTE, TAIL_NOTE = SHARED("spread").caption, SHARED("tail").caption
REPORTED_NOTES = {report: SHARED(f"report_{report}").caption for report in (1, 2)}
FID, RECALL, TV, CONSISTENCY = columns("fid_classifier", "recall", "class_share_tv", "class_consistency")
TAIL_METRICS = ("num", "fid_classifier", "kid_classifier", "recall")
TAIL_COLUMNS = columns(*(f"{metric}_{group}" for metric in TAIL_METRICS for group in ("many", "medium", "few")))


def score_cells(params: Params, found: Run, reported: Mapping[str, float] | None = None) -> dict[str, Value]:
    """A run's scores beside the `reported` ones. Raises UserError for missing Inception scores."""
    if "inception" in params.evaluation.extractors and "fid" not in found.values:
        needed = "which evaluation.extractors asks for: run `dvc repro evaluate`"
        raise UserError(f"run {found.name} has no Inception scores, {needed}")
    return found.cells | {f"{name}_reported": value for name, value in (reported or {}).items()}


def class_columns(classes: Sequence[str], group: str, digits: int = 1, scale: float = 100) -> list[Column]:
    """A column for all classes together and one for each."""
    return [Column(name, name, group, digits, scale) for name in ("all", *classes)]


def class_cells(classes: Sequence[str], every: float, by_class: Sequence[float]) -> dict[str, Value]:
    """What stands in them."""
    return {"all": every, **dict(zip(classes, by_class, strict=True))}


def floor_row(column: str, cells: Mapping[str, Value]) -> dict[str, Value]:
    """Real images' row: their name under `column`, printed softer than what is compared with them."""
    return {**cells, column: FLOOR.label, "quiet": True}


def evaluation_warnings(runs: Iterable[Run]) -> list[str]:
    """What training and evaluation warned of, each warning once with the runs that it holds for."""
    runs = list(runs)
    warned = [(warning, found.name) for found in runs for warning in found.values.get("warnings", ())]
    collapses = ((found.info.get("collapsed_at_step"), found.name) for found in runs)
    warned += [
        (f"samples are one image, or one for each class, since step {step} of training ({COLLAPSED.strip()})", name)
        for step, name in collapses
        if step
    ]
    named = {one: [name for warning, name in warned if warning == one] for one, _ in warned}
    return [f"Warning ({', '.join(names)}): {warning}." for warning, names in named.items()]


def score_facts(
    results: Results, generated: Sequence[Run], real: Sequence[Run], reference: str, seeds: str, judge: str = JUDGE
) -> dict[str, str]:
    """What the scores of `generated` runs and of the floor's (`real`) rest on.

    Args:
        reference: what real images stand behind the scores.
        seeds: every seed but the evaluation's.
    """
    params = results.params
    made, drawn = (span([run.values["num_samples"] for run in runs], 0) for runs in (generated, real))
    facts = {
        "data": data_names(generated),
        "samples": f"{made} per model, {drawn} real",
        "judge": judge_fact(results, judge),
        "reference": f"{reference} ({span([run.values['num_reference'] for run in real], 0)} images)",
        "neighbours": str(params.evaluation.neighbours),
        "seeds": f"{seeds}, evaluation {params.evaluation.seed}",
        "profile": results.profile,
    }
    return facts | ({"Inception": INCEPTION_WEIGHTS} if "inception" in params.evaluation.extractors else {})


def judge_fact(results: Results, name: str) -> str:
    """Which network a judge is, with which weights, and how good."""
    judge, network = results.runs[name], results.params.classifiers[name].network
    weights, accuracy = sha256(judge.folder / WEIGHTS_FILE)[:12], judge.values["accuracy"]
    return f"{name} ({network}, weights sha256 {weights}, {accuracy:.1%} right on real test images)"


def data_names(runs: Iterable[Run]) -> str:
    """The data sets of some runs."""
    return distinct([found.info["data"]["name"] for found in runs])

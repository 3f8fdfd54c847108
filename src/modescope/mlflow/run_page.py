"""What a run's page in MLflow says of it, in Markdown.

It follows from run.json alone, so that sending it twice changes nothing.
"""

from collections.abc import Mapping
from typing import Any

from modescope.config.studies import STUDIES
from modescope.runs.folder import WEIGHTS_FILE

SHOWN_DIGITS = 16  # of a digest; all of them are in the tags
GIVEN = "given"  # the model of images that somebody brought (`modescope score`)
NOT_SAMPLED = ("real", "inside", GIVEN, "classifiers")  # models, a study


def describe(info: Mapping[str, Any], has_difference: bool) -> str:
    """The page's text.

    Args:
        info: content of run.json.
        has_difference: whether the run's folder holds what was not committed.
    """
    study, run, origin, model = info["study"], info["run"], info.get("origin", {}), info["model"]
    weights, commit = info.get("weights_sha256", "")[:SHOWN_DIGITS], origin.get("git.commit")
    torch, changes = info.get("versions", {}).get("torch"), " with changes that were not committed (`code.diff`)"
    is_sampled = not {model, study} & set(NOT_SAMPLED)
    lines = {
        "data": _data(info["data"]),
        "weights": weights and f"`models/{study}/{run}/{WEIGHTS_FILE}`, sha256 `{weights}…`",
        "code": commit and f"commit `{commit}`{changes if has_difference else ''}",
        "origin": _stage(info),
        "device": ", ".join([info["device"], info["precision"], *([f"torch {torch}"] if torch else [])]),
        "sample": is_sampled and f"`modescope sample {run} --grid --out {run}.png`",
        "report": model != GIVEN and f"`{origin.get('results', '')}reports/{study}/index.html#{run}`",
        "failed": info.get("error"),
    }
    table = "".join(f"| {name} | {text} |\n" for name, text in lines.items() if text)
    title = f"**{run}** of the study *{study}*: {STUDIES.get(study, '')}"
    return f"{title}\n\n| | |\n| :-- | :-- |\n{table}"


def _data(data: Mapping[str, Any]) -> str:
    parts = [
        data["name"],
        f"split `{data['split']}`" if data.get("split") else None,
        f"{data['images']:,} training images" if "images" in data else None,
    ]
    return ", ".join([*(part for part in parts if part), f"digest `{data['digest'][:SHOWN_DIGITS]}…`"])


def _stage(info: Mapping[str, Any]) -> str:
    origin = info.get("origin", {})
    changes = origin.get("changes") or "no parameter changed"
    parts = [f"stage `{info['stage']}`", f"profile `{origin['profile']}`" if "profile" in origin else None]
    if "dvc.exp" in origin:
        parts.append(f"experiment `{origin['dvc.exp']}` on `{origin.get('dvc.baseline', '')[:7]}` with {changes}")
    return ", ".join(part for part in parts if part)

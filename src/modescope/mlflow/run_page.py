"""What a run's page in MLflow says of it, in Markdown.

It follows from run.json alone, so that sending it twice changes nothing.
"""

from collections.abc import Mapping
from typing import Any

from modescope.config.studies import STUDIES

SHOWN_DIGITS = 16  # of a digest; all of them are in the tags
GIVEN = "given"  # the model of images that somebody brought (`modescope score`)
NOT_SAMPLED = ("real", "inside", GIVEN, "classifiers")  # models, a study


def describe(info: Mapping[str, Any], has_difference: bool) -> str:
    """The page's text.

    Args:
        info: content of run.json.
        has_difference: whether the run's folder holds what was not committed.
    """
    lines = {
        "data": _data(info["data"]),
        "weights": _weights(info),
        "code": _code(info.get("origin", {}), has_difference),
        "origin": _stage(info),
        "device": ", ".join(
            [
                info["device"],
                info["precision"],
                *(f"torch {version}" for name, version in info.get("versions", {}).items() if name == "torch"),
            ]
        ),
        "sample": None
        if {info["model"], info["study"]} & set(NOT_SAMPLED)
        else f"`modescope sample {info['run']} --grid --out {info['run']}.png`",
        "report": None if info["model"] == GIVEN else f"`{_page(info)}`",
        "failed": info.get("error"),
    }
    table = "".join(f"| {name} | {text} |\n" for name, text in lines.items() if text)
    title = f"**{info['run']}** of the study *{info['study']}*: {STUDIES.get(info['study'], '')}"
    return f"{title}\n\n| | |\n| :-- | :-- |\n{table}"


def _page(info: Mapping[str, Any]) -> str:
    return f"{info.get('origin', {}).get('results', '')}reports/{info['study']}/index.html#{info['run']}"


def _data(data: Mapping[str, Any]) -> str:
    parts = [
        data["name"],
        f"split `{data['split']}`" if data.get("split") else None,
        f"{data['images']:,} training images" if "images" in data else None,
    ]
    return ", ".join([*(part for part in parts if part), f"digest `{data['digest'][:SHOWN_DIGITS]}…`"])


def _weights(info: Mapping[str, Any]) -> str | None:
    if "weights_sha256" not in info:
        return None
    return (
        f"`models/{info['study']}/{info['run']}/model.safetensors`, sha256 `{info['weights_sha256'][:SHOWN_DIGITS]}…`"
    )


def _code(origin: Mapping[str, str], has_difference: bool) -> str | None:
    if "git.commit" not in origin:
        return None
    return f"commit `{origin['git.commit']}`" + (
        " with changes that were not committed (`code.diff`)" if has_difference else ""
    )


def _stage(info: Mapping[str, Any]) -> str:
    origin = info.get("origin", {})
    changes = origin.get("changes") or "no parameter changed"
    parts = [f"stage `{info['stage']}`", f"profile `{origin['profile']}`" if "profile" in origin else None]
    if "dvc.exp" in origin:
        parts.append(f"experiment `{origin['dvc.exp']}` on `{origin.get('dvc.baseline', '')[:7]}` with {changes}")
    return ", ".join(part for part in parts if part)

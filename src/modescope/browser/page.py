"""A page with networks inside: one HTML file that asks for nothing."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

from modescope.browser.networks import Packed
from modescope.report.page import environment

Facts = dict[str, Any]  # of a run.json, or for a page's script


def to_html(template: Path, packed: Packed, facts: Facts, **texts: str) -> str:
    """A template of HTML, filled: equal bytes for equal networks and facts.

    Args:
        template: it extends app.html.j2.
        packed: all networks.
        facts: JSON, which script and template see; `profile` says where a banner is due.
        texts: further content for the script, in text (`in_text`), by name.
    """
    facts |= {"numbers": sum(part.numel() for part in packed.numbers)}
    templates = environment(template.parent, Path(__file__).parent)  # their style begins with the report's
    texts = {"networks": in_text(packed.bytes(), zlib.Z_HUFFMAN_ONLY)} | texts
    return templates.get_template(template.name).render(facts=facts, json=_json(facts), texts=texts)


def run_facts(info: Facts) -> Facts:
    """Of a run.json what identifies the run."""
    return {name: info[name] for name in ("run", "key", "weights_sha256") if name in info}


def profile_of(info: Facts) -> str | None:
    """The profile of a run.json."""
    return info.get("origin", {}).get("profile")


def in_text(content: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> str:
    """zlib's stream in base64, which `DecompressionStream("deflate")` reads. Noise takes Huffman codes alone."""
    stream = zlib.compressobj(9, strategy=strategy)
    return base64.b64encode(stream.compress(content) + stream.flush()).decode()


def _json(facts: Facts) -> str:
    """JSON that ends no script element."""
    return json.dumps(facts, ensure_ascii=False).replace("<", "\\u003c")

"""The pipeline as docs/design.md draws it: an arrow from a module of stages to one that reads what it writes.

`python -m benchmarks.pipeline` prints it. Stage `code`, which all others wait for, is left out, and so
is an arrow where a longer way leads.
"""

import re
from pathlib import Path

from dvc.repo import Repo

MODULE = re.compile(r"modescope\.stages\.(\w+)")
Edge = tuple[str, str]


def edges() -> set[Edge]:
    """Pairs of modules: the second reads what the first writes."""
    known = [(MODULE.search(stage.cmd)[1], stage) for stage in Repo().index.stages]
    writers = {out.def_path: module for module, stage in known for out in stage.outs}
    found = {
        (writers[path], module)
        for module, stage in known
        for dep in stage.deps
        for path in _around(dep.def_path, writers)
    }
    found = {(first, second) for first, second in found if first not in ("code", second)}
    return {edge for edge in found if not _leads(found - {edge}, *edge)}


def _around(path: str, outputs: dict[str, str]) -> list[str]:
    """The outputs that are a path, hold it, or lie in it."""
    above = {path, *map(str, Path(path).parents)} & outputs.keys()
    return [*above] or [out for out in outputs if out.startswith(f"{path}/")]


def _leads(edges: set[Edge], first: str, last: str) -> bool:
    return any(start == first and (end == last or _leads(edges, end, last)) for start, end in edges)


def mermaid() -> str:
    """The picture in Mermaid's language."""
    return "\n".join(["flowchart LR", *(f"  {first} --> {second}" for first, second in sorted(edges()))])


if __name__ == "__main__":
    print(mermaid())

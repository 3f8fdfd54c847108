"""The results in README.md and docs/results.md: blocks that are made from the committed reports.

`python -m modescope.studies.documents README.md docs/results.md` writes anew what lies between

    <!-- results: STUDY answer -->       <!-- results: STUDY table -->        <!-- results: STUDY findings -->
    <!-- end -->                         <!-- end -->                         <!-- end -->
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from modescope.errors import UserError
from modescope.files import atomic_path, read_json
from modescope.report.page import FINDINGS, GLANCE, PAGE
from modescope.studies import STUDIES

BLOCK = re.compile(r"(<!-- results: ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def blocks(reports: Path) -> dict[str, str]:
    """Name of a block -> its Markdown. Raises UserError for a study that has no report."""
    made = {}
    for study in STUDIES:
        found, table = read_json(reports / study / FINDINGS), reports / study / "tables" / f"{GLANCE}.md"
        made[f"{study} table"] = table.read_text(encoding="utf-8")
        sentences = [f"- **{finding['head']}.** {finding['text']}\n" for finding in found["findings"]]
        made[f"{study} answer"] = sentences[0].removeprefix("- ")
        made[f"{study} findings"] = f"{''.join(sentences)}\n[Tables and figures](../{reports}/{study}/{PAGE})\n"
    return made


def fill(text: str, made: Mapping[str, str]) -> str:
    """`text` with every block as `made` has it. Raises UserError for a block of another name."""
    unknown = [name for _, name, _ in BLOCK.findall(text) if name not in made]
    if unknown:
        raise UserError(f"there is no block `{unknown[0]}`: there are {', '.join(made)}")
    return BLOCK.sub(lambda block: f"{block[1]}{made[block[2]].strip()}\n{block[3]}", text)


def main(*documents: str) -> None:
    """Write the blocks of every document anew."""
    for document in map(Path, documents):
        text = fill(document.read_text(encoding="utf-8"), blocks(Path("reports")))
        with atomic_path(document) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

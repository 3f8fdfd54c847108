"""`modescope data` on the command line."""

from pathlib import Path
from typing import Annotated

import typer


def data(
    path: Annotated[
        Path, typer.Argument(help="A folder for each class, with train/ and test/ above or not; .npz or .parquet")
    ],
    slot: Annotated[str, typer.Option(help="For rgb (studies 1 and 2), grey (study 3) or both")] = "both",
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out what cannot be read")] = False,
    test_share: Annotated[float, typer.Option(help="Of every class, where train/ and test/ are not apart")] = 0.2,
    seed: Annotated[int, typer.Option(help="Draws these test images", min=0, max=2**32 - 1)] = 0,
    write: Annotated[bool, typer.Option("--write", help="Make params.yaml run the studies on them")] = False,
) -> None:
    """Look at images of your own: classes, sizes, faults, duplicates. With --write every study runs on them."""
    from modescope.config.profiles import in_short
    from modescope.doctor.processes import refuse_a_pipeline_at_work
    from modescope.files import root
    from modescope.own.adopting import adopt, settings_of
    from modescope.own.look import described, look_at

    own = settings_of(path, slot, skip_broken, test_share, seed)
    look = look_at(path.expanduser(), test_share, seed)
    print("\n".join(described(look)))
    if write:
        refuse_a_pipeline_at_work(root())
        print("\n".join(in_short(adopt(look, own))) or "params.yaml says so already")

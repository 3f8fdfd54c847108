"""Images of the user's own in params.yaml."""

from pathlib import Path
from typing import Any

from modescope.config import PARAMS, load_params, read_yaml
from modescope.config.profiles import differences, write_params
from modescope.data.own import TEST, TRAIN
from modescope.data.slots import SHAPES, refuse_broken
from modescope.errors import UserError
from modescope.files import root
from modescope.own.fitting import fit
from modescope.own.look import Look

BOTH = "both"


def settings_of(path: Path, slot: str, skip_broken: bool, test_share: float, seed: int) -> dict[str, dict[str, Any]]:
    """Slot -> the `OwnImages` of a place, but for their digest. Raises UserError for a slot or a share that is none."""
    if slot not in (BOTH, *SHAPES):
        raise UserError(f"--slot {slot} is unknown: there are {', '.join(SHAPES)} and {BOTH}")
    if not 0 < test_share < 1:
        raise UserError(f"--test-share {test_share:g} is no share: say one between 0 and 1, 0.2 for a fifth")
    place = path.expanduser().resolve()
    folder = place.relative_to(root()) if place.is_relative_to(root()) else place
    own = {"folder": str(folder), "skip_broken": skip_broken, "test_share": test_share, "seed": seed}
    return dict.fromkeys(SHAPES if slot == BOTH else [slot], own)


def adopt(look: Look, own: dict[str, dict[str, Any]]) -> list[str]:
    """Make params.yaml name the images for the slots of `own`, and lower what they are too few for.

    Returns a line per changed value. Raises UserError for images that cannot be read, or that are too few.
    """
    refuse_broken(look.broken, all(each["skip_broken"] for each in own.values()))
    load_params()
    before = read_yaml(PARAMS)
    slots = {slot: {"digest": look.digest, **each} for slot, each in own.items()}
    after = fit(before, slots, look.counts(TRAIN), look.counts(TEST))
    changes = differences(before, after)
    if changes:
        write_params(after)
    return changes

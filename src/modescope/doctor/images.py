"""Images of the user's own against what params.yaml says of them."""

from collections.abc import Iterator
from pathlib import Path

from modescope.config import OwnImages, load_params
from modescope.doctor.finding import Finding
from modescope.errors import UserError
from modescope.files import PARAMS


def other_images(folder: Path) -> Iterator[Finding]:
    """Own images that changed since `modescope data --write`: results are of what was there before."""
    from modescope.data.own import digest_of, list_own

    try:
        datasets = load_params(folder / PARAMS).datasets
    except UserError:
        return  # every command says so
    own = {each.folder: each for each in (datasets.rgb, datasets.grey) if isinstance(each, OwnImages)}
    for name, each in own.items():
        place = folder / Path(name).expanduser()
        try:
            changed = digest_of(place, list_own(place)) != each.digest
            what = f"{place} holds other images than params.yaml was written for"
        except UserError as error:
            changed, what = True, str(error)
        if changed:
            yield Finding(what, f"{each.command}, and `dvc repro`")

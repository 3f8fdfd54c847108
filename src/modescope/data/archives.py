"""Raw files: from a mirror, the cache or the network, each checked before it is used.

`MODESCOPE_MIRROR` names a folder (relative: to the repository) or an http(s) URL that holds files by the names used
here, such as `mnist/train-images-idx3-ubyte.gz`. Downloads are kept below `data/raw/` under the same names.
"""

import http.client
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from modescope.errors import UserError
from modescope.files import atomic_path, root
from modescope.vision import torchvision

TIMEOUT_SECONDS = 10
UNREACHABLE = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException)
WAYS_OUT = (
    "set MODESCOPE_MIRROR to a folder or URL that holds cifar10/ and mnist/, "
    "or run `modescope use demo`, whose data needs no download"
)

Check = Callable[[Path], str | None]
"""What is wrong with a file, in words; None if nothing is."""


def has_md5(expected: str) -> Check:
    """A check of a file's md5 (hex), the checksum that torchvision knows for the official archives."""

    def fault(path: Path) -> str | None:
        found = torchvision.datasets.utils.calculate_md5(path)
        return None if found == expected else f"its md5 is {found}, expected {expected}"

    return fault


def find(name: str, check: Check, keep: bool = True) -> Path | None:
    """A checked copy of file `name` on this machine: the folder mirror's own, the cached one, or one from the URL
    mirror.

    Args:
        name: path inside the mirror.
        check: what the file must pass.
        keep: whether a cached copy may serve; False downloads from a URL mirror again, for files without a checksum.

    Returns:
        The path, or None if there is no mirror or it does not hold the file.

    Raises:
        UserError: the mirror's file is truncated or altered, or the mirror is a folder that does not exist.
    """
    mirror = _mirror()
    if isinstance(mirror, Path) and (mirror / name).is_file():
        if problem := check(mirror / name):
            raise UserError(f"{mirror / name} is truncated or altered ({problem}): replace it by a good copy")
        return mirror / name
    if keep and (cached := _cached(name, check)):
        return cached
    if isinstance(mirror, str):
        try:
            return _retrieve(f"{mirror}/{name}", _cache_path(name), check)
        except UNREACHABLE as error:
            if getattr(error, "code", None) != http.HTTPStatus.NOT_FOUND:
                _say(f"mirror: {mirror}/{name} is out of reach ({_reason(error)}), trying the next source")
    return None


def download(name: str, check: Check, urls: Sequence[str]) -> Path:
    """Fetch file `name` from the first of `urls` that answers, and keep it in the cache.

    Raises:
        UserError: none answers; or what came was truncated or altered twice.
    """
    reasons = []
    for url in urls:
        try:
            return _retrieve(url, _cache_path(name), check)
        except UNREACHABLE as error:
            reasons.append(f"{url}: {_reason(error)}")
    mirror = _mirror()
    searched = "no mirror is set" if mirror is None else f"the mirror {mirror} does not hold it"
    raise UserError(f"cannot fetch {name}: {searched} and the network fails ({'; '.join(reasons)}): {WAYS_OUT}")


def _mirror() -> Path | str | None:
    """The mirror as a folder, as a URL without its last slash, or None."""
    value = os.environ.get("MODESCOPE_MIRROR", "")
    if value.startswith(("http://", "https://")):
        return value.rstrip("/")
    if not value:
        return None
    folder = root() / Path(value).expanduser()
    if not folder.is_dir():
        raise UserError(f"MODESCOPE_MIRROR={value}: {folder} is no folder; {WAYS_OUT}")
    return folder


def _cache_path(name: str) -> Path:
    return root() / "data" / "raw" / name


def _cached(name: str, check: Check) -> Path | None:
    """The cached file if it passes; one that does not is deleted."""
    path = _cache_path(name)
    if not path.is_file():
        return None
    if problem := check(path):
        path.unlink()
        _say(f"{path} was truncated or altered ({problem}): deleted, fetching it again")
        return None
    return path


class _Damaged(Exception):
    """A download that did not pass its check; says why."""


def _retrieve(url: str, path: Path, check: Check) -> Path:
    """Download to `path`, which only ever holds a file that passed. One that does not pass is deleted and fetched once
    more.
    """
    try:
        return _retrieve_once(url, path, check)
    except _Damaged as damage:
        _say(f"{url} arrived truncated or altered ({damage}): deleted, fetching it again")
    try:
        return _retrieve_once(url, path, check)
    except _Damaged as damage:
        raise UserError(f"{url} arrived truncated or altered twice ({damage}): {WAYS_OUT}") from None


def _retrieve_once(url: str, path: Path, check: Check) -> Path:
    with atomic_path(path) as temporary:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, open(temporary, "wb") as file:
            size = response.length
            with tqdm.wrapattr(response, "read", total=size, desc=f"fetching {path.name}", disable=None) as body:
                shutil.copyfileobj(body, file)
        if problem := check(temporary):
            raise _Damaged(problem)
    return path


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error)) or type(error).__name__


def _say(line: str) -> None:
    print(f"modescope: {line}", file=sys.stderr)

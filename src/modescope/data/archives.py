"""Raw files: from a mirror, the cache or the network, each checked before it is used.

`MODESCOPE_MIRROR` names a folder (relative: to the repository) or an http(s) URL that holds files by the names used
here, such as `mnist/train-images-idx3-ubyte.gz`. Downloads are kept below `data/raw/` under the same names.
"""

import base64
import http.client
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import FrameType
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from tqdm import tqdm

from modescope.errors import UserError, say
from modescope.files import atomic_path, root
from modescope.vision import torchvision

TIMEOUT_SECONDS = 10  # of silence
GRACE_SECONDS, SLOWEST = 30, 20_000  # a download may be so late, and so slow (bytes/s): 9 minutes for MNIST at most
PART = 2**16  # bytes
WAYS_OUT = (
    "set MODESCOPE_MIRROR to a folder or URL that holds cifar10/ and mnist/, "
    "or run `modescope use demo`, whose data needs no download"
)


class Archive(NamedTuple):
    """A file that is wanted.

    Attributes:
        name: path inside the mirror.
        most_bytes: it is never larger.
        fault: what is wrong with a file, in words; None if nothing is.
    """

    name: str
    most_bytes: int
    fault: Callable[[Path], str | None]

    @property
    def cache(self) -> Path:
        """Where its download is kept."""
        return root() / "data" / "raw" / self.name


def has_md5(expected: str) -> Callable[[Path], str | None]:
    """A check of a file's md5 (hex), the checksum that torchvision knows for the official archives."""

    def fault(path: Path) -> str | None:
        found = torchvision.datasets.utils.calculate_md5(path)
        return None if found == expected else f"its md5 is {found}, expected {expected}"

    return fault


def find(archive: Archive, keep: bool = True) -> Path | None:
    """A checked copy of the file on this machine: the folder mirror's own, the cached one, or one from the URL mirror.

    Args:
        keep: whether a cached copy may serve; False downloads from a URL mirror again, for files without a checksum.

    Returns:
        The path, or None if there is no mirror or it does not hold the file.

    Raises:
        UserError: the mirror's file is truncated or altered, or the mirror is no folder and no URL.
    """
    mirror = _mirror()
    if isinstance(mirror, Path) and (path := mirror / archive.name).is_file():
        if problem := archive.fault(path):
            raise UserError(f"{path} is truncated or altered ({problem}): replace it by a good copy")
        return path
    if keep and (cached := _cached(archive)):
        return cached
    if isinstance(mirror, str):
        url = urlsplit(mirror)
        url = url._replace(path=f"{url.path.rstrip('/')}/{archive.name}").geturl()
        try:
            return _retrieve(url, archive)
        except _Unreachable as failure:
            if not failure.is_missing:
                _out_of_reach[mirror, archive.name] = str(failure)
                say(f"mirror: {url} is out of reach ({failure}), trying the next source")
    return None


_out_of_reach: dict[tuple[str, str], str] = {}  # mirror and file for which there was no answer -> why


def download(archive: Archive, urls: Sequence[str]) -> Path:
    """Fetch the file from the first of `urls` that answers, and keep it in the cache.

    Raises:
        UserError: none answers; or what came was truncated or altered twice.
    """
    reasons = []
    for url in urls:
        try:
            return _retrieve(url, archive)
        except _Unreachable as failure:
            reasons.append(f"{url}: {failure}")
    mirror = _mirror()
    reason = _out_of_reach.get((str(mirror), archive.name))
    state = f"is out of reach ({reason})" if reason else "does not hold it"
    searched = "no mirror is set" if mirror is None else f"the mirror {mirror} {state}"
    raise UserError(f"cannot fetch {archive.name}: {searched} and the network fails ({'; '.join(reasons)}): {WAYS_OUT}")


def _mirror() -> Path | str | None:
    """The mirror as a folder, as a URL, or None. Raises UserError for what is neither."""
    value = os.environ.get("MODESCOPE_MIRROR", "")
    if not value:
        return None
    if re.match("https?://", value, re.IGNORECASE):
        try:
            parts = urlsplit(value)
            if parts.port != 0 and (parts.hostname or "").encode("idna") and value.isprintable():
                return value
        except ValueError:
            pass
        raise UserError(f"MODESCOPE_MIRROR={value} is no URL: {WAYS_OUT}")
    try:
        folder = root() / Path(value).expanduser()
        if folder.is_dir():
            return folder
    except (RuntimeError, OSError, ValueError):  # an unknown user's home, a name that is too long
        folder = "that"
    raise UserError(f"MODESCOPE_MIRROR={value}: {folder} is no folder; {WAYS_OUT}")


def _cached(archive: Archive) -> Path | None:
    """The cached file if it passes; one that does not is deleted."""
    path = archive.cache
    if not path.is_file():
        return None
    if problem := archive.fault(path):
        path.unlink()
        say(f"{path} was truncated or altered ({problem}): deleted, fetching it again")
        return None
    return path


class _Damaged(Exception):
    """A download that did not pass its check; says why."""


class _Unreachable(Exception):
    """A server that gives no answer; says why. `is_missing` where it answers that it lacks the file."""

    def __init__(self, reason: object, is_missing: bool = False):
        super().__init__(" ".join(str(reason).split()) or type(reason).__name__)
        self.is_missing = is_missing


def _retrieve(url: str, archive: Archive) -> Path:
    """Download into the cache, which only ever holds files that passed. One that does not is fetched once more."""
    try:
        return _retrieve_once(url, archive)
    except _Damaged as damage:
        say(f"{url} arrived truncated or altered ({damage}): deleted, fetching it again")
    try:
        return _retrieve_once(url, archive)
    except _Damaged as damage:
        raise UserError(f"{url} arrived truncated or altered twice ({damage}): {WAYS_OUT}") from None


def _retrieve_once(url: str, archive: Archive) -> Path:
    with atomic_path(archive.cache) as temporary:
        with open(temporary, "wb") as file:
            for part in _parts(url, archive.most_bytes):
                file.write(part)
        if problem := archive.fault(temporary):
            raise _Damaged(problem)
    return archive.cache


def _parts(url: str, most_bytes: int) -> Iterator[bytes]:
    """What a server answers, part by part.

    Raises _Unreachable, also where it is too slow or falls silent, and _Damaged beyond `most_bytes`.
    """
    received = 0
    try:
        with (
            _no_slower(lambda: received),
            urllib.request.urlopen(_request(url), timeout=TIMEOUT_SECONDS) as response,
            tqdm(desc=f"fetching {PurePath(url).name}", unit="B", unit_scale=True, disable=None) as bar,
        ):
            bar.total = getattr(response, "length", None)
            while part := response.read(PART):
                received += len(part)
                if received > most_bytes:
                    raise _Damaged(f"it has more than {most_bytes:,} bytes")
                bar.update(len(part))
                yield part
    except urllib.error.HTTPError as error:
        raise _Unreachable(error, error.code == http.HTTPStatus.NOT_FOUND) from error
    except (OSError, http.client.HTTPException, ValueError, OverflowError) as error:
        raise _Unreachable(getattr(error, "reason", error)) from error


def _request(url: str) -> urllib.request.Request:
    """A request for a URL as somebody types it; its user and password become a header, which no redirect passes on."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=host, path=quote(parts.path, safe="/%")).geturl())
    if account:
        encoded = base64.b64encode(unquote(account).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    return request


@contextmanager
def _no_slower(received: Callable[[], int]) -> Iterator[None]:
    """End what the main thread does inside by _Unreachable once it has received less than `SLOWEST` asks for.

    An alarm looks ten times a second: no timeout of a socket counts a byte every now and then, or endless headers.
    """
    began = time.monotonic()

    def look(_number: int, _frame: FrameType | None) -> None:
        late = time.monotonic() - began - GRACE_SECONDS
        if received() < late * SLOWEST:
            raise _Unreachable(f"less than {SLOWEST:,} bytes a second come")

    previous = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

import gzip
import hashlib
import io
import pickle
import tarfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from modescope.data import sources
from modescope.data.sources import CIFAR10, DIGITS, fetch
from modescope.errors import UserError
from modescope.vision import torchvision

OFFICIAL_CIFAR10, OFFICIAL_MNIST = torchvision.datasets.CIFAR10, torchvision.datasets.MNIST
CLOSED = "http://127.0.0.1:9/"
ROWS = {"train": 20, "test": 10}
DIGITS_CONTENT = {
    "digits": "dedb1dfa27e5c8c8043e2f694e62f93edf2815a089ea9e57b1726e75de96bb21",
    "digits-rgb": "f63f3a258bea9999d938f6bdc2541ddf10d433d6a67dc82a1cc7d02c3fa7bee4",
}


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No mirror, an empty cache below `tmp_path`, and official addresses that refuse connections at once."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MODESCOPE_MIRROR", raising=False)
    monkeypatch.setattr(OFFICIAL_CIFAR10, "url", CLOSED + OFFICIAL_CIFAR10.filename)
    monkeypatch.setattr(OFFICIAL_MNIST, "mirrors", [CLOSED])
    return tmp_path


@pytest.fixture
def small_mirror(offline, monkeypatch):
    """An empty folder mirror for archives of 20 + 10 images."""
    monkeypatch.setenv("MODESCOPE_MIRROR", "mirror")
    monkeypatch.setattr(sources, "CIFAR10_ROWS", ROWS)
    (offline / "mirror" / "cifar10").mkdir(parents=True)
    (offline / "mirror" / "mnist").mkdir()
    return offline / "mirror"


def _pixels(rows, *shape):
    return np.random.default_rng(rows).integers(0, 256, (rows, *shape), dtype=np.uint8)


def _md5(content):
    return hashlib.md5(content).hexdigest()


def _put_official_cifar10(folder, monkeypatch):
    """A small archive in the official layout, and torchvision's checksums for it."""
    batches = {
        f"{split}_batch": {"data": _pixels(rows, 3 * 32 * 32), "labels": [k % 10 for k in range(rows)]}
        for split, rows in ROWS.items()
    }
    files = {name: pickle.dumps(batch) for name, batch in batches.items()} | {
        "meta": pickle.dumps({"label_names": list(CIFAR10)})
    }
    with tarfile.open(folder / OFFICIAL_CIFAR10.filename, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for split in ROWS:
        monkeypatch.setattr(OFFICIAL_CIFAR10, f"{split}_list", [(f"{split}_batch", _md5(files[f"{split}_batch"]))])
    monkeypatch.setattr(
        OFFICIAL_CIFAR10, "meta", {"filename": "meta", "key": "label_names", "md5": _md5(files["meta"])}
    )
    monkeypatch.setattr(OFFICIAL_CIFAR10, "tgz_md5", _md5((folder / OFFICIAL_CIFAR10.filename).read_bytes()))


def _idx(array):
    """The format of MNIST's archives: magic number, lengths, bytes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    return gzip.compress(header + array.tobytes())


def _put_official_mnist(folder, monkeypatch):
    resources = []
    for prefix, rows in (("train", 20), ("t10k", 10)):
        labels = (np.arange(rows) % 10).astype(np.uint8)
        for name, array in (("images-idx3", _pixels(rows, 28, 28)), ("labels-idx1", labels)):
            content = _idx(array)
            (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(content)
            resources.append((f"{prefix}-{name}-ubyte.gz", _md5(content)))
    monkeypatch.setattr(OFFICIAL_MNIST, "resources", resources)


def _picture(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _png_header(width, height):
    """A PNG file that says how large it is and holds nothing else."""
    return (
        _picture(_pixels(1, 1, 1, 3)[0])[:16]
        + width.to_bytes(4, "big")
        + height.to_bytes(4, "big")
        + b"\x08\x02"
        + bytes(30)
    )


def _put_parquet(folder, split, rows=None, first_label=0, column="img", bare=None, labels=None, **first):
    rows = ROWS[split] if rows is None else rows
    pictures = [{"bytes": _picture(pixels), "path": "x.png"} for pixels in _pixels(rows, 32, 32, 3)]
    if "first_picture" in first:
        pictures[0]["bytes"] = first["first_picture"]
    labels = labels or [first_label, *(k % 10 for k in range(1, rows))]
    pyarrow.parquet.write_table(pyarrow.table({column: bare or pictures, "label": labels}), folder / f"{split}.parquet")


@pytest.mark.parametrize(("name", "shape"), [("digits", (1, 28, 28)), ("digits-rgb", (3, 32, 32))])
def test_embedded_digits(name, shape):
    train, test = fetch(name)["train"], fetch(name)["test"]
    assert (train.images.shape, test.images.shape) == ((1438, *shape), (359, *shape))
    assert (train.images.dtype, train.labels.dtype) == (torch.uint8, torch.int64)
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert (train.name, train.source, train.classes) == (name, "digits", DIGITS)
    shares = torch.bincount(test.labels) / (torch.bincount(test.labels) + torch.bincount(train.labels))
    assert shares.tolist() == pytest.approx([0.2] * 10, abs=0.005)
    assert (train.images == train.images[:, :1]).all()
    assert hashlib.sha256(train.images.numpy().tobytes()).hexdigest() == DIGITS_CONTENT[name]


def test_an_unknown_dataset_is_refused():
    with pytest.raises(UserError, match="unknown dataset 'cifar11': known are cifar10, mnist, digits, digits-rgb"):
        fetch("cifar11")


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_no_network_and_no_mirror_names_both_ways_out(offline, name):
    with pytest.raises(UserError, match=f"cannot fetch {name}/.*MODESCOPE_MIRROR.*`modescope use demo`") as error:
        fetch(name)
    assert "\n" not in str(error.value)
    assert [path for path in offline.rglob("*") if path.is_file()] == []


def test_official_mnist(small_mirror, monkeypatch):
    _put_official_mnist(small_mirror / "mnist", monkeypatch)
    data = fetch("mnist")
    assert np.array_equal(data["train"].images[:, 0].numpy(), _pixels(20, 28, 28))
    assert data["test"].labels.tolist() == list(range(10))
    assert (data["test"].name, data["test"].source, data["test"].classes) == ("mnist", "official", DIGITS)


def test_official_cifar10_is_preferred_to_parquet(small_mirror, monkeypatch):
    for split in ROWS:
        _put_parquet(small_mirror / "cifar10", split)
    _put_official_cifar10(small_mirror / "cifar10", monkeypatch)
    data = fetch("cifar10")
    assert np.array_equal(data["train"].images.numpy(), _pixels(20, 3 * 32 * 32).reshape(20, 3, 32, 32))
    assert data["test"].labels.tolist() == list(range(10))
    assert (data["test"].name, data["test"].source, data["test"].classes) == ("cifar10", "official", CIFAR10)


def test_cifar10_of_a_parquet_mirror_has_another_name(small_mirror):
    for split in ROWS:
        _put_parquet(small_mirror / "cifar10", split)
    data = fetch("cifar10")
    assert (data["train"].name, data["train"].source, data["train"].classes) == ("cifar10-jpeg", "parquet", CIFAR10)
    assert np.array_equal(data["train"].images.permute(0, 2, 3, 1).numpy(), _pixels(20, 32, 32, 3))
    assert data["train"].labels.tolist() == [*range(10), *range(10)]


def test_half_a_parquet_mirror_is_none(small_mirror):
    _put_parquet(small_mirror / "cifar10", "train")
    with pytest.raises(UserError, match="cannot fetch cifar10/cifar-10-python.tar.gz: the mirror .* does not hold it"):
        fetch("cifar10")


@pytest.mark.parametrize(
    ("archive", "put"),
    [
        ("mnist/train-images-idx3-ubyte.gz", _put_official_mnist),
        ("cifar10/cifar-10-python.tar.gz", _put_official_cifar10),
    ],
)
def test_a_truncated_official_archive_is_refused(small_mirror, monkeypatch, archive, put):
    name, file = archive.split("/")
    put(small_mirror / name, monkeypatch)
    content = (small_mirror / archive).read_bytes()
    (small_mirror / archive).write_bytes(content[:-20])
    with pytest.raises(UserError, match=f"{file} is truncated or altered .its md5 is .*, expected {_md5(content)}"):
        fetch(name)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"rows": 19}, "19 rows, expected 20"),
        ({"first_label": 10}, "labels .*10.*, expected 0 to 9"),
        ({"column": "image"}, "not readable as parquet with columns img and label"),
        ({"bare": [b"bare bytes"] * 20}, "not readable as parquet with columns img and label"),
        ({"first_label": None}, "labels .*None, expected 0 to 9"),
        ({"first_label": -(2**40)}, "labels -1099511627776, .*, expected 0 to 9"),
        ({"labels": [[0]] * 20}, "label is list"),
        ({"labels": ["0"] * 20}, "label is string"),
        ({"labels": [0.5] * 20}, "label is double"),
        ({"bare": [{"bytes": "text"}] * 20}, "img.bytes are string"),
        ({"bare": [{"bytes": [1, 2]}] * 20}, "img.bytes are list"),
        ({"bare": [{"bytes": None}] * 20}, "img.bytes are null"),
        ({"first_picture": None}, "row 0 is no readable 32x32 image"),
        ({"first_picture": _png_header(60_000, 60_000)}, "row 0 is no readable 32x32 image"),
        ({"first_picture": _png_header(10_000, 8_000)}, "row 0 is no readable 32x32 image"),
        ({"first_picture": _png_header(32, 32)}, "row 0 is no readable 32x32 image"),
        ({"first_picture": _picture(_pixels(1, 32, 32, 3)[0], "GIF")}, "row 0 is no readable 32x32 image"),
        ({"first_picture": b"no picture"}, "row 0 is no readable 32x32 image"),
        ({"first_picture": _picture(_pixels(1, 1, 1, 3)[0])}, "row 0 is no readable 32x32 image"),
    ],
)
def test_parquet_files_that_are_not_cifar10_are_refused_in_one_line(small_mirror, fault, message):
    _put_parquet(small_mirror / "cifar10", "train", **fault)
    _put_parquet(small_mirror / "cifar10", "test")
    with pytest.raises(UserError, match=f"train.parquet.*{message}") as error:
        fetch("cifar10")
    assert "\n" not in str(error.value)


def test_a_truncated_parquet_file_is_refused_in_one_line(small_mirror):
    _put_parquet(small_mirror / "cifar10", "train")
    path = small_mirror / "cifar10" / "train.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="train.parquet is truncated or altered .not readable as parquet") as error:
        fetch("cifar10")
    assert "\n" not in str(error.value)


def test_real_mnist(mirror):
    data = fetch("mnist")
    assert (data["train"].images.shape, data["test"].images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert data["train"].images.float().mean().item() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert data["test"].labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_real_cifar10_test_images(mirror, monkeypatch):
    monkeypatch.setattr(sources, "CIFAR10_ROWS", {"test": 10_000})
    test = fetch("cifar10")["test"]
    assert test.name == "cifar10-jpeg"
    assert torch.bincount(test.labels).tolist() == [1000] * 10
    official_means = [0.4942, 0.4851, 0.4504]
    assert (test.images.float().mean(dim=(0, 2, 3)) / 255).tolist() == pytest.approx(official_means, abs=0.002)

"""Somebody's own images: every honest layout gives the same data set, what cannot be used is named in one line."""

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from modescope.config import OwnImages
from modescope.data import own as places
from modescope.data.own import digest_of, list_own
from modescope.data.slots import own_splits
from modescope.errors import UserError

RNG = np.random.default_rng(0)
CLASSES = ("cat", "犬")
PIXELS = {name: RNG.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8) for name in CLASSES}


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def save(file: str, picture: Image.Image | np.ndarray, **options) -> Path:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


def save_folder(folder: str = "own") -> Path:
    for name, images in PIXELS.items():
        for row, pixels in enumerate(images):
            save(f"{folder}/{name}/{row}.png", pixels)
    return Path(folder)


def splits(place: Path, slot: str = "rgb", **changes) -> dict:
    digest = digest_of(place, list_own(place))
    return own_splits(
        OwnImages(
            **{"folder": str(place), "digest": digest, "skip_broken": False, "test_share": 0.2, "seed": 0} | changes
        ),
        slot,
    )


def refused(match: str, place: str = "own", **changes) -> None:
    with pytest.raises(UserError, match=re.escape(match)) as error:
        splits(Path(place), **changes)
    assert "\n" not in str(error.value)


def images_of(found: dict, label: int) -> set[bytes]:
    return {image.numpy().tobytes() for each in found.values() for image in each.images[each.labels == label]}


def save_archive() -> Path:
    np.savez("own.npz", images=np.concatenate([*PIXELS.values()]), labels=np.repeat(CLASSES, 10))
    return Path("own.npz")


def save_parquet(column: str = "image", classes: bool = True) -> Path:
    rows = []
    for label, images in enumerate(PIXELS.values()):
        for pixels in images:
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            rows.append({column: {"bytes": content.getvalue(), "path": None}, "label": label})
    table = pyarrow.Table.from_pylist(rows)
    about = {"info": {"features": {"label": {"names": list(CLASSES)}}}} if classes else {}
    pyarrow.parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), "own.parquet")
    return Path("own.parquet")


@pytest.mark.parametrize("make", [save_folder, save_archive, save_parquet])
def test_every_layout_gives_the_same_images_a_fifth_of_each_class_apart(make):
    found = splits(make())
    assert found["train"].classes == CLASSES and found["train"].name == "own"
    for split, count in (("train", 8), ("test", 2)):
        found[split].check()
        assert torch.bincount(found[split].labels).tolist() == [count, count]
        assert found[split].images.shape[1:] == (3, 32, 32)
    for label, name in enumerate(CLASSES):
        assert images_of(found, label) == {pixels.transpose(2, 0, 1).tobytes() for pixels in PIXELS[name]}
    again, other = splits(make()), splits(make(), seed=1)
    assert torch.equal(again["test"].images, found["test"].images)
    assert not torch.equal(other["test"].images, found["test"].images)


def test_train_and_test_that_lie_apart_stay_apart():
    for split, rows in (("train", range(7)), ("test", range(7, 10))):
        for name, images in PIXELS.items():
            for row in rows:
                save(f"own/{split}/{name}/{row}.png", images[row])
    found = splits(Path("own"))
    assert [torch.bincount(found[split].labels).tolist() for split in ("train", "test")] == [[7, 7], [3, 3]]
    (Path("own") / "test").rename("elsewhere")
    refused("own has train but no test: add it, or name own/train")


def test_numbers_are_classes_by_value_and_parquet_may_lack_names():
    assert splits(save_parquet("img", classes=False))["train"].classes == ("0", "1")
    np.savez("n.npz", images=np.zeros((30, 9, 9), np.uint8), labels=np.repeat([2, 10, 1], 10))
    assert splits(Path("n.npz"))["train"].classes == ("1", "2", "10")


def fitted(file: str, picture: Image.Image, slot: str = "rgb", **options) -> torch.Tensor:
    save(f"own/a/{file}", picture, **options)
    save("own/b/0.png", np.zeros((9, 9), np.uint8))
    for name in ("a", "b"):
        save(f"own/{name}/1.png", np.zeros((9, 9), np.uint8))
    images = [image for each in splits(Path("own"), slot).values() for image in each.images[each.labels == 0]]
    return max(images, key=lambda image: int(image.float().var() * 1000) + int(image.float().mean()))


def test_transparent_is_white_and_cmyk_is_converted():
    assert (fitted("0.png", Image.new("RGBA", (50, 40), (0, 0, 0, 0))) == 255).all()
    assert (fitted("0.jpg", Image.new("CMYK", (50, 40), (0, 0, 0, 0)), "grey") == 255).all()


def test_the_middle_is_kept_upright_and_small_details_are_averaged():
    stripes = np.zeros((120, 40), np.uint8)  # beyond the middle square white, as is every second row of it
    stripes[:40], stripes[80:], stripes[40:80:2] = 255, 255, 255
    exif = Image.Exif()
    exif[0x0112] = 6  # it lies on its side
    found = fitted("0.png", Image.fromarray(stripes), "grey", exif=exif)[0].float()
    assert found.shape == (28, 28) and (found[:, 2:-2] - 127.5).abs().max() < 30  # antialiased: no stripe is left
    wide = np.zeros((40, 80), np.uint8)
    wide[:10] = 255
    turned = fitted("2.png", Image.fromarray(wide), "grey", exif=exif)[0].float()
    assert turned[:, -5:].mean() > 250 and turned[:, :5].mean() < 5


def test_other_images_than_the_digest_says_are_refused():
    digest = digest_of(save_folder(), list_own(Path("own")))
    assert digest_of(Path("own"), list_own(Path("own"))) == digest
    Path("own").rename("moved")
    assert digest_of(Path("moved"), list_own(Path("moved"))) == digest
    save("moved/cat/0.png", 255 - PIXELS["cat"][0])
    refused("moved holds other images than datasets.rgb of params.yaml was written for", "moved", digest=digest)


def test_broken_pictures_are_named_and_left_out_only_where_that_is_said():
    save_folder()
    cut, deep = save("own/cat/a.jpg", PIXELS["cat"][0]), Image.fromarray(np.zeros((9, 9), np.uint16))
    cut.write_bytes(cut.read_bytes()[:400])
    save("own/cat/deep.png", deep)
    os.symlink("c.png", "own/cat/c.png")
    for words in ("own/cat/a.jpg (Truncated File Read)", "own/cat/deep.png (it is of Pillow's mode I;16", "c.png ("):
        refused(words)
    found = splits(Path("own"), skip_broken=True)
    assert images_of(found, 0) == {pixels.transpose(2, 0, 1).tobytes() for pixels in PIXELS["cat"]}
    for row in range(10):
        Path(f"own/犬/{row}.png").write_bytes(b"no picture")
    refused("犬", skip_broken=True)


def test_what_is_too_large_is_refused(monkeypatch):
    save_folder()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    refused("exceeds limit of 1000 pixels")
    monkeypatch.setattr(places, "LARGEST_PICTURE", 10)
    refused("own/cat/0.png (it is too large, 0 MB)")
    monkeypatch.setattr(places, "LARGEST", 10)
    save_parquet()
    refused("own.parquet has 0.0 GB: take a part of it", "own.parquet")


def make(kind: str) -> str:
    if kind == "nowhere":
        return "nowhere"
    save_folder()
    if kind == "one class":
        Path("own/犬").rename("elsewhere")
    elif kind == "empty class":
        Path("own/third").mkdir()
    elif kind == "empty":
        Path("empty").mkdir()
        return "empty"
    elif kind == "flat":
        return "own/cat"
    elif kind == "deeper":
        Path("own/cat/more").mkdir()
    elif kind == "circle":
        os.symlink(".", "own/loop")
    elif kind == "pickled":
        np.savez("a.npz", images=np.array([{}, 1], object), labels=np.arange(2))
        return "a.npz"
    elif kind == "floats":
        np.savez("a.npz", images=np.zeros((4, 8, 8, 3)), labels=np.arange(4))
        return "a.npz"
    elif kind == "no labels":
        np.savez("a.npz", images=np.zeros((4, 8, 8, 3), np.uint8))
        return "a.npz"
    elif kind == "columns":
        pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), "a.parquet")
        return "a.parquet"
    elif kind == "text":
        Path("a.txt").touch()
        return "a.txt"
    elif kind in ("all", "a,b", "a" * 65):
        Path("own/cat").rename(f"own/{kind}")
    return "own"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nowhere", "nowhere is neither a folder nor a file: name your images, a folder for each class"),
        ("one class", "there is one class alone, cat: a study needs two at least"),
        ("empty class", "own/third holds no pictures (.png, .jpg, .jpeg, .webp): fill it or delete it"),
        ("empty", "empty holds no folders of pictures"),
        ("flat", "own/cat holds pictures that are in no class"),
        ("deeper", "own/cat/more lies in a class's folder: pictures lie there directly"),
        ("circle", "own/loop holds no pictures"),
        ("pickled", "a.npz holds a pickled object, which could run anything"),
        ("floats", "a.npz holds images (4, 8, 8, 3) float64: save uint8"),
        ("no labels", "a.npz holds no labels: save `labels`, a number or a name for each of the 4 images"),
        ("columns", "a.parquet is no parquet file of images"),
        ("text", "a.txt is neither .npz nor .parquet"),
        ("all", "the class 'all' cannot be called so"),
        ("a,b", "the class 'a,b' cannot be called so (letters and digits of any script"),
        ("a" * 65, "cannot be called so"),
    ],
)
def test_bad_places_are_refused_in_one_line(kind, message):
    refused(message, make(kind))

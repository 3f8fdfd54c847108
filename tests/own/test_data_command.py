"""`modescope data`: what it says of images, what it makes of params.yaml; changed images do not pass unseen."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modescope import cli
from modescope.config import load_params, read_yaml
from modescope.data.prepared import load_prepared
from modescope.doctor.images import other_images
from modescope.errors import UserError
from modescope.stages import download

REPOSITORY = Path(__file__).parents[2]
RNG = np.random.default_rng(0)


def save(file: str, *size: int, mode: str = "RGB", pixels: np.ndarray | None = None) -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) if pixels is None else pixels)
    picture.convert(mode).save(path)


@pytest.fixture
def modescope(tmp_path, monkeypatch, capsys):
    """Runs `modescope ARGUMENTS` beside 3 classes of 30 images in flowers/; returns exit code, output, errors."""
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles", ignore=shutil.ignore_patterns("demo"))
    shutil.copy(REPOSITORY / "profiles" / "standard.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(cli, "stop_on_signals", lambda: None)
    for name in ("rose", "тюльпан", "हिन्दी"):
        for number in range(30):
            save(f"flowers/{name}/{number}.png", 40, 32)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["modescope", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


def test_a_look_says_what_there_is_and_writes_nothing(modescope):
    shutil.copy("flowers/rose/0.png", "flowers/rose/copy.png")
    shutil.copy("flowers/rose/0.png", "flowers/тюльпан/copy.png")
    save("flowers/rose/grey.png", 20, 60, mode="L")
    before = Path("params.yaml").read_bytes()
    code, printed, _ = modescope("data", "flowers")
    assert code == 0 and Path("params.yaml").read_bytes() == before
    for words in (
        "flowers: 3 classes, 75 training images and 18 test images (split by seed, class by class)",
        "rose          26        6\n",
        "sizes: 20 x 60 to 40 x 32, most often 40 x 32 (92 images)",
        "93 are no squares and lose their ends, up to 67% of an image; all become 32 x 32 and 28 x 28; 1 are smaller",
        "modes: 92 RGB (colour: its luma for grey), 1 L (grey: three equal channels for rgb)",
        "exact duplicates, 2: flowers/rose/0.png = flowers/rose/copy.png",
        "of two classes, 2: ",
        "judge: coarse, ",
    ):
        assert words in printed


def test_duplicates_between_train_and_test_are_named(modescope):
    Path("flowers").rename("train")
    shutil.copytree("train", "own/train")
    for folder in Path("own/train").iterdir():
        save(f"own/test/{folder.name}/0.png", 33, 33)
    shutil.copy("own/train/rose/3.png", "own/test/rose/1.png")
    _, printed, _ = modescope("data", "own")
    assert "90 training images and 4 test images (as they lie there)" in printed
    assert "in train and in test, 1: own/train/rose/3.png = own/test/rose/1.png" in printed


def test_write_makes_params_yaml_valid_and_the_stage_read_it(modescope):
    comments = Path("params.yaml").read_text(encoding="utf-8").count("#")
    code, printed, _ = modescope("data", "flowers", "--write", "--seed", "5")
    assert code == 0 and "datasets.rgb.folder: (none) -> flowers" in printed
    params = load_params()
    assert params.split.classes == ["rose", "тюльпан", "हिन्दी"] and params.datasets.rgb.seed == 5
    assert Path("params.yaml").read_text(encoding="utf-8").count("#") == comments
    assert modescope("data", "flowers", "--write", "--seed", "5")[1].endswith("params.yaml says so already\n")
    for slot, shape in (("rgb", (3, 32, 32)), ("grey", (1, 28, 28))):
        download.main(slot, Path("data") / slot)
        train, test = (load_prepared(Path("data") / slot / f"{split}.safetensors") for split in ("train", "test"))
        assert train.images.shape == (72, *shape) and test.images.shape == (18, *shape)
        assert (train.name, train.source, train.classes) == ("flowers", "folder", ("rose", "тюльпан", "हिन्दी"))


@pytest.mark.parametrize("options", [(), ("--skip-broken",)])
def test_a_folder_in_which_nothing_can_be_read_is_refused_in_one_line(modescope, options):
    for file in Path("flowers").glob("*/*.png"):
        file.write_text("no picture")
    code, _, said = modescope("data", "flowers", *options)
    assert code == 2 and len(said.strip().splitlines()) == 1 and "rose" in said


def test_images_that_changed_do_not_pass_unseen(modescope):
    modescope("data", "flowers", "--write", "--slot", "grey")
    assert read_yaml(Path("params.yaml"))["datasets"]["rgb"] == "cifar10"
    save("flowers/rose/new.png", 40, 32)
    with pytest.raises(UserError, match="flowers holds other images than datasets.grey of params.yaml was written for"):
        download.main("grey", Path("data/grey"))
    assert not Path("data").exists()
    command = "modescope data flowers --test-share 0.2 --seed 0 --write"
    assert [each.command for each in other_images(Path())] == [f"{command}, and `dvc repro`"]
    assert "datasets.grey.digest: " in modescope("data", "flowers", "--write", "--slot", "grey")[1]
    download.main("grey", Path("data/grey"))
    assert not [*other_images(Path())]
    Path("flowers").rename("elsewhere")
    assert [each.what for each in other_images(Path())] == [
        "flowers is neither a folder nor a file: name your images, a folder for each class, with or without train/ and "
        "test/ above them, or .npz, or .parquet"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is neither a folder nor a file"),
        (["flowers", "--slot", "red"], "--slot red is unknown: there are rgb, grey and both"),
        (["flowers", "--test-share", "1"], "--test-share 1 is no share"),
        (["flowers", "--test-share", "0.1"], "has 3 test images: it takes 6 at least"),
        (["flowers"], "broken.jpg (cannot identify image file"),
    ],
)
def test_bad_orders_leave_params_yaml_as_it_was(modescope, arguments, message):
    if arguments == ["flowers"]:
        Path("flowers/rose/broken.jpg").write_bytes(b"no picture")
    before = Path("params.yaml").read_bytes()
    code, _, errors = modescope("data", *arguments, "--write")
    assert (code, errors.count("\n")) == (2, 1) and message in errors
    assert Path("params.yaml").read_bytes() == before


def test_broken_images_may_be_left_out(modescope):
    Path("flowers/rose/broken.jpg").write_bytes(b"no picture")
    code, printed, _ = modescope("data", "flowers", "--write", "--skip-broken")
    assert code == 0 and "cannot be read, 1: flowers/rose/broken.jpg" in printed
    download.main("grey", Path("data/grey"))
    assert len(load_prepared(Path("data/grey/train.safetensors")).labels) == 72

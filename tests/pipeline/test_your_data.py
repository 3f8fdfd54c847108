"""docs/your-data.md, followed by its commands; the stages that train much are left out."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.clones import copy_of_the_repository, run
from modescope.data.prepared import load_prepared
from modescope.files import read_json

GUIDE = Path("docs/your-data.md").read_text(encoding="utf-8")
SOME = "dvc repro split split-grey"


def commands() -> list[str]:
    block = re.search(r"```sh\n(.*?)```", GUIDE, re.DOTALL)[1]
    return [line.partition("#")[0].strip() for line in block.splitlines()]


def test_from_a_folder_to_a_judge_also_when_an_image_changed(tmp_path):
    folder, home, rng = tmp_path / "project", tmp_path / "home", np.random.default_rng(0)
    copy_of_the_repository(folder)
    for number, name in enumerate(("rose", "tulip", "ぼたん")):
        (home / "flowers" / name).mkdir(parents=True)
        for row in range(100):
            shade = rng.integers(100 * number, 100 * number + 50, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(shade).save(home / "flowers" / name / f"{row}.png")
    use, look, write, repro = commands()
    assert repro == "modescope repro"
    run(use, folder)
    before = (folder / "params.yaml").read_bytes()
    assert "3 classes, 240 training images and 60 test images" in run(look, folder, HOME=str(home))[0]
    assert (folder / "params.yaml").read_bytes() == before
    run(write, folder, HOME=str(home))
    run(SOME, folder)
    train = load_prepared(folder / "data/grey/train.safetensors")
    assert train.images.shape == (240, 1, 28, 28) and train.classes == ("rose", "tulip", "ぼたん")
    assert "up to date" in run(SOME, folder)[0]

    Image.new("RGB", (40, 40)).save(home / "flowers" / "rose" / "0.png")
    assert "flowers holds other images than params.yaml was written for" in run("modescope doctor", folder, expect=2)[0]
    run(write, folder, HOME=str(home))
    assert "datasets.grey" in run("dvc status download@grey", folder)[0]
    run("dvc repro classifier@grey-judge", folder)
    assert read_json(folder / "profiles/demo/metrics/classifiers/grey-judge.json")["num_test"] == 60

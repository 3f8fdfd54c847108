import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from modescope.data.prepared import Dataset, load_prepared, save_prepared
from modescope.errors import UserError
from modescope.files import sha256

SMALL = Dataset(
    "digits-rgb",
    "digits",
    torch.arange(5 * 3 * 4 * 4).remainder(256).to(torch.uint8).view(5, 3, 4, 4),
    torch.tensor([0, 1, 2, 1, 0]),
    ("zero", "one", "caf\u00e9"),
)


def test_a_dataset_comes_back_as_it_was_saved(tmp_path):
    save_prepared(SMALL, tmp_path / "data" / "train.safetensors", "train")
    loaded = load_prepared(tmp_path / "data" / "train.safetensors")
    assert (loaded.name, loaded.source, loaded.classes) == (SMALL.name, SMALL.source, SMALL.classes)
    assert torch.equal(loaded.images, SMALL.images) and torch.equal(loaded.labels, SMALL.labels)
    assert (loaded.images.dtype, loaded.labels.dtype) == (torch.uint8, torch.int64)


def test_other_readers_of_safetensors_accept_the_file(tmp_path):
    save_prepared(replace(SMALL, images=SMALL.images.transpose(2, 3)), tmp_path / "x.safetensors", "test")
    assert torch.equal(load_file(tmp_path / "x.safetensors")["images"], SMALL.images.transpose(2, 3))


def test_equal_data_give_equal_bytes_in_every_process(tmp_path):
    code = (
        "import sys, torch; from pathlib import Path; from modescope.data.prepared import *;"
        "data = Dataset('n', 's', torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2).long(), ('a', 'b'));"
        "[save_prepared(data, Path(sys.argv[1]) / f'{k}.safetensors', 'train') for k in range(8)]"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    assert len({sha256(path) for path in tmp_path.iterdir()}) == 1


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(UserError, match="x.safetensors is missing: run `dvc repro download`"):
        load_prepared(tmp_path / "x.safetensors")


def _truncated(path):
    save_prepared(SMALL, path, "train")
    path.write_bytes(path.read_bytes()[:-10])


def _foreign(path):
    save_file({"weight": torch.zeros(1)}, path)


def _without_metadata(path):
    save_file({"images": SMALL.images, "labels": SMALL.labels}, path)


@pytest.mark.parametrize("spoil", [_truncated, _foreign, _without_metadata, lambda path: path.write_bytes(b"no data")])
def test_a_file_that_is_no_prepared_data_is_refused_in_one_line(tmp_path, spoil):
    spoil(tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="is no prepared data") as error:
        load_prepared(tmp_path / "x.safetensors")
    assert "\n" not in str(error.value)

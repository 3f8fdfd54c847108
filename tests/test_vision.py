import subprocess
import sys

import pytest
import torch

from modescope import vision


def test_the_import_works_in_a_fresh_process_before_torchmetrics():
    code = "from modescope.vision import torchvision; import torchmetrics; print(torchvision.datasets.MNIST.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "MNIST\n"), done.stderr


@pytest.mark.parametrize("content", [None, b"no library"])
def test_an_extension_that_is_missing_or_broken_does_not_load(tmp_path, content):
    if content is not None:
        (tmp_path / "_C.so").write_bytes(content)
    assert not vision.extension_loads(tmp_path)


def test_operators_have_names_after_the_import():
    for schema in vision.OPERATORS:
        assert hasattr(torch.ops.torchvision, schema.split("(")[0])


def test_a_name_without_code_cannot_be_called():
    if vision.extension_loads(next(iter(map(vision.Path, vision.torchvision.__path__)))):
        pytest.skip("torchvision's own operators load here: nothing is repaired")
    with pytest.raises((NotImplementedError, RuntimeError), match="torchvision::nms"):
        torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)

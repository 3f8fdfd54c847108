"""Arithmetic: what a device can do, and CUDA's settings, which need no GPU to be set."""

import re
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from modescope.errors import UserError, seconds_of
from modescope.training import device
from modescope.training.device import arithmetic, autocast, choose_kernels, fused, training_device, usable_precision


def settings() -> tuple:
    cudnn = torch.backends.cudnn
    tf32 = torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32
    return (
        *tf32,
        torch.are_deterministic_algorithms_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        torch.utils.deterministic.fill_uninitialized_memory,
    )


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_cuda_is_set_for_the_training_and_set_back(precision, deterministic):
    before, allows_tf32 = settings(), precision != "fp32"
    with pytest.raises(KeyError), arithmetic("cuda", precision, deterministic):
        assert settings() == (allows_tf32, allows_tf32, deterministic, deterministic, not deterministic, False)
        raise KeyError
    assert settings() == before


def test_a_cpu_needs_no_settings():
    before = settings()
    with arithmetic("cpu", "bf16", deterministic=True):
        assert settings() == before


def test_mkl_has_chosen_the_kernels_of_all_its_functions():
    """Those that torch's own header names, in both precisions, called with one number by one thread."""
    header = Path(torch.__file__).with_name("include") / "ATen/cpu/vml.h"
    named = re.findall(r"^IMPLEMENT_VML_MKL\((\w+),", header.read_text(encoding="utf-8"), re.MULTILINE)
    called = []

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            made = function(*arguments, **(options or {}))
            called.append((function._schema.name.removeprefix("aten::"), made.dtype, made.numel()))
            return made

    with Calls():
        choose_kernels.__wrapped__()
    missing = {(name, dtype, 1) for name in named for dtype in (torch.float32, torch.float64)} - {*called}
    assert len(named) > 10 and missing == set()


def test_who_asks_for_the_device_finds_them_chosen(monkeypatch):
    asked = []
    monkeypatch.setattr(device, "choose_kernels", lambda: asked.append(True))
    training_device()
    assert asked


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_cpu_computes_in_float32(precision):
    assert usable_precision(precision, "cpu") == "fp32" and usable_precision(precision, "cuda") == precision
    with autocast("cpu", precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_recordable_adam_has_a_tensor_for_its_rate():
    assert fused(0.1, torch.device("cpu")) == {"lr": 0.1, "fused": True}
    if torch.cuda.is_available():
        options = fused(0.1, torch.device("cuda"))
        assert options["capturable"] and options["lr"].is_cuda


@pytest.mark.parametrize("name", ["foo", "mps", "cuda:x", "cuda:0 ", "CPU"])
def test_a_device_that_is_none_is_refused_in_one_line(name, monkeypatch):
    monkeypatch.setenv("MODESCOPE_DEVICE", name)
    with pytest.raises(UserError, match="is no device for training"):
        training_device()


@pytest.mark.parametrize("text", ["abc", "-1", "nan", "inf", "1,5"])
def test_seconds_of_the_environment_are_a_number(text, monkeypatch):
    monkeypatch.setenv("MODESCOPE_PUSH_SECONDS", text)
    with pytest.raises(UserError, match=r"MODESCOPE_PUSH_SECONDS=.* is no number of seconds"):
        seconds_of("MODESCOPE_PUSH_SECONDS", 10)
    monkeypatch.delenv("MODESCOPE_PUSH_SECONDS")
    assert seconds_of("MODESCOPE_PUSH_SECONDS", 10) == 10

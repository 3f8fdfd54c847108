"""torchvision, imported so that it also works beside a CPU-only torch, and without torch's compiler.

PyPI's torchvision is built against CUDA torch. Beside a CPU torch its compiled extension does not load, and `import
torchvision` then dies ("operator torchvision::nms does not exist") because it describes two operators that the
extension would have defined. Naming them first lets the import pass; calling them still fails, which nothing here does.

One of its operators takes a function from torch's compiler, `torch._dynamo`, whose import lasts a second: a fifth of
what it takes to measure a run. Until somebody calls that function, one of the same name stands for it.

Import this module before any package that imports torchvision itself (torchmetrics, airbench).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

COMPILER = "torch._dynamo.utils"
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def extension_loads(folder: Path) -> bool:
    """Whether torchvision's compiled operators, `_C.so` (Windows: `_C.pyd`) in `folder`, load beside this torch."""
    libraries = [*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]
    try:
        for library in libraries:
            torch.ops.load_library(library)
    except OSError:
        return False
    return bool(libraries)


def name_operators() -> torch.library.Library:
    """Define the operators' names without code. The names last as long as the returned library is kept."""
    library = torch.library.Library("torchvision", "DEF")
    for schema in OPERATORS:
        library.define(schema)
    return library


def is_compile_supported(device: Any) -> bool:
    """Whether torch's compiler works on a device; asks `torch._dynamo.utils.is_compile_supported`."""
    from torch._dynamo import utils

    return utils.is_compile_supported(device)


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """Inside, `from torch._dynamo.utils import is_compile_supported` gives the function above, unless the compiler is
    there already.
    """
    if COMPILER in sys.modules:
        yield
        return
    sys.modules[COMPILER] = stand_in = ModuleType(COMPILER)
    stand_in.is_compile_supported = is_compile_supported
    try:
        yield
    finally:
        del sys.modules[COMPILER]


if "torchvision" not in sys.modules and not extension_loads(Path(find_spec("torchvision").origin).parent):
    _names = name_operators()

with compiler_left_out():
    import torchvision
import torchvision.datasets  # noqa: E402, F401

"""torchvision, imported so that it also works beside a CPU-only torch.

PyPI's torchvision is built against CUDA torch. Beside a CPU torch its compiled extension does not load, and
`import torchvision` then dies ("operator torchvision::nms does not exist") because it describes two operators that the
extension would have defined. Naming them first lets the import pass; calling them still fails, which nothing here does.

Import this module before any package that imports torchvision itself (torchmetrics, airbench, pythae).
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch

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


if "torchvision" not in sys.modules and not extension_loads(Path(find_spec("torchvision").origin).parent):
    _names = name_operators()

import torchvision  # noqa: E402, F401
import torchvision.datasets  # noqa: E402, F401

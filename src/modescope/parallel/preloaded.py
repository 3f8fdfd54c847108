"""What the process imports from which workers are forked: the packages that nearly every stage needs.

Nobody imports this module but Python's fork server.
"""

import contextlib
import importlib
import os
from pathlib import Path

from modescope.parallel.warm import READY
from modescope.process import die_with_parent, uncollected
from modescope.threads import fix_threads

NAMES = (
    "dvc.repo",
    "modescope.vision",  # before torchmetrics
    "torch._dynamo",  # every optimiser imports it
    "torchmetrics.image.fid",
    "modescope.mlflow.database",
    "modescope.mlflow.store",
)

die_with_parent()
fix_threads(1)
with uncollected(), contextlib.suppress(ImportError, OSError):  # what is missing, a stage says itself
    for name in NAMES:
        importlib.import_module(name)
    Path(os.environ[READY]).touch()

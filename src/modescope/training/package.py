"""airbench96 on CUDA: trained by the package `airbench` itself, in half precision, on our images."""

import os
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

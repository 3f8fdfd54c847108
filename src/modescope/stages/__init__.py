"""A module per stage, run as `python -m modescope.stages.NAME`."""

import sys

from modescope.process import exit_readably
from modescope.threads import settle_threads

if sys.argv[0] == "-m":  # a stage is looked up, nothing of it is imported yet
    exit_readably(settle_threads)

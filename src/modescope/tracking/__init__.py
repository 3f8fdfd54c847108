"""Tracking: a run is plain files first; MLflow is filled from them and can be filled again."""

from modescope.tracking.filing import push, read_final, sync
from modescope.tracking.runlog import RunLog

__all__ = ["RunLog", "push", "read_final", "sync"]

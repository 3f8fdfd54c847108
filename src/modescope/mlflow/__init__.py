"""Runs in MLflow, filled from their files.

The package `mlflow` takes a second to import: stages import `filing`, which imports it when a run is filed.
"""

import os

# Read by MLflow at its import: no telemetry, and a dead server is given up after seconds instead of minutes.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")

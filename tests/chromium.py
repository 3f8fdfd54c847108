"""Scripts that look at pages in Chromium, for tests; they are skipped where it or its modules are missing."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

MODULES = Path(os.environ.get("MODESCOPE_BROWSER", ".browser"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def in_chromium(script: Path, *arguments: object) -> dict:
    """What `node SCRIPT MODULES ARGUMENTS...` prints, which is JSON."""
    if not (CHROMIUM and shutil.which("node")):
        pytest.skip("needs Chromium and node")
    if not (MODULES / "node_modules" / "axe-core").is_dir():
        pytest.skip("needs `npm install --prefix .browser playwright-core axe-core`")
    command = ["node", str(script), str(MODULES.resolve()), *map(str, arguments)]
    ended = subprocess.run(
        command, env=os.environ | {"CHROMIUM": CHROMIUM}, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)

"""Which version of the code is running."""

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def code_version() -> str:
    """Return the commit where the code is a checkout, else the package's version."""
    git = shutil.which("git")
    command = [git or "git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() if git else ""
    return told or version("visir")

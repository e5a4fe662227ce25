"""Which version of the code is running."""

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def code_version() -> str:
    """Return the commit where the code is a checkout (``-dirty`` where files differ from it), else the package's version."""
    here = Path(__file__)
    git = shutil.which("git")

    def told(*words: str) -> str:
        done = subprocess.run([git or "git", "-C", str(here.parent), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    # An installed package may lie in somebody else's checkout, whose commits say nothing about it.
    if git and told("ls-files", here.name):
        return told("describe", "--always", "--dirty", "--exclude=*")
    return version("visir")

"""Write docs/cli.md from the commands' own help: ``python scripts/write_cli_docs.py``."""

import os
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs" / "cli.md"
HEAD = """# The command line

Results go to stdout, everything else to stderr. Exit codes: 0 all well, 1 some files failed, 2 usage, 130 interrupted.
This page is written by `python scripts/write_cli_docs.py`.
"""


def help_of(*words: str) -> str:
    """Return what a command prints for ``--help``."""
    environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "visir.cli.main", *words, "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return "\n".join(line.rstrip() for line in told.strip().splitlines())


def render() -> str:
    """Return the whole page."""
    top = help_of()
    parts = [HEAD, f"```text\n{top}\n```\n"]
    for verb in verbs_in(top):
        told = help_of(verb)
        parts.append(f"## visir {verb}\n\n```text\n{told}\n```\n")
        parts += [f"### visir {verb} {inner}\n\n```text\n{help_of(verb, inner)}\n```\n" for inner in verbs_in(told)]
    return "\n".join(parts)


def verbs_in(told: str) -> list[str]:
    """Return the verbs that a help text lists."""
    listed = told.partition("Commands:")[2].splitlines()
    return [line.split()[0] for line in listed if line.startswith("  ") and not line.startswith("   ")]


if __name__ == "__main__":
    DOCS.write_text(render(), encoding="utf-8")

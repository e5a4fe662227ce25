"""What README and docs claim is run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUN_ELSEWHERE = ("make ", "git ", "cd ", "pip ")


def console_blocks(page: Path) -> list[str]:
    return re.findall(r"```console\n(.*?)```", page.read_text(), flags=re.DOTALL)


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Return each `$ command` of a page with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for block in console_blocks(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
    return found


@pytest.mark.parametrize("page", [ROOT / "README.md"], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_and_print_what_it_says(page, tmp_path):
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "VISIR_INDEX": str(tmp_path / "index")}
    for command, lines in commands(page):
        if command == "make demo":  # its set-up is what runs this test
            older = "visir index samples/queries --index .visir/demo --model text"  # another model's index must not stand in its way
            command = f"{older} && VISIR='{sys.executable} -m visir.cli.main' sh samples/demo.sh"
        elif command.startswith(RUN_ELSEWHERE):
            continue
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, (command, done.stderr)
        told = (done.stdout + done.stderr).replace(f"{tmp_path}/", "")
        for line in lines:
            # An ellipsis stands for whatever differs from run to run: times, sizes, places.
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            assert not line.strip() or re.search(pattern, told), f"{command}\nwas said to print\n{line}\nbut printed\n{told}"


def test_every_make_target_that_a_page_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"`make ([a-z-]+)`", page.read_text()) + re.findall(
            r"^\$ make ([a-z-]+)", page.read_text(), flags=re.MULTILINE
        ):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), (page.name, target)


def test_the_first_command_stands_before_line_20():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith("$ ") for line in lines[:19])


def test_the_page_on_the_command_line_is_what_the_commands_say():
    sys.path.insert(0, str(ROOT / "scripts"))
    from write_cli_docs import DOCS, render

    assert render() == DOCS.read_text(), "run: python scripts/write_cli_docs.py"


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()) + re.findall(r'src="([^"]+)"', page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_third_party_parts_have_a_notice():
    notice = (ROOT / "NOTICE").read_text()
    for part in ("unise/weights/text", "unise/weights/unise-mini/encoder", "capture/fonts", "samples/documents"):
        assert part in notice

"""What docs/serve.md shows is run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import running

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "serve.md").read_text()


@pytest.mark.slow
def test_the_commands_and_programs_of_the_page_run(tmp_path):
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    for name in ("water-works-annual-report-2023.pdf", "recipe-rye-sourdough.md"):
        shutil.copy(ROOT / "samples" / "documents" / name, chosen)
    blocks = re.findall(r"^\$ (curl .*)\n(.*)$", PAGE, flags=re.MULTILINE)
    programs = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert (len(blocks), len(programs)) == (7, 5)
    with running(tmp_path / "my-index", str(chosen)) as server:
        client = server.client()
        assert client.wait(client.jobs()[0].id).indexed == 2

        def run(*command):
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
            assert done.returncode == 0, (command, done.stderr)
            return done.stdout

        for command, said in blocks:
            told = run("bash", "-c", command.replace("http://127.0.0.1:7333/", server.address))
            assert re.match(".*".join(re.escape(part) for part in said.split("…")), told), (command, told)
        client.wait(client.jobs()[0].id)
        home = server.index.with_name(server.index.name + ".serve")
        assert client.documents(name="rainfall-chart").documents[0].uri.startswith(str(home))
        told = [run(sys.executable, "-c", program.replace("http://127.0.0.1:7333", server.address.rstrip("/"))) for program in programs]
        assert "done" in told[0]
        assert "1 removed" in told[0]
        assert not client.documents(name="rainfall-chart").documents
        assert "recipe-rye-sourdough.md" in told[2]

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from documents import write_pdf
from PIL import Image
from processes import children, processes_with

from visir.capture import CaptureOptions, Worker, capture
from visir.capture import worker as worker_module
from visir.capture.office import find_soffice
from visir.errors import CaptureError, CaptureTimeout, UnsupportedError

SAMPLES = Path(__file__).parents[2] / "samples" / "documents"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.05)


def test_capture_is_a_generator_over_any_kind_of_file(tmp_path):
    write_pdf(tmp_path / "a.pdf", ["one", "two"])
    Image.new("RGB", (50, 40)).save(tmp_path / "b.png")
    (tmp_path / "c.md").write_text("# Heading\n\nbody")
    assert [shot.text for shot in capture(tmp_path / "a.pdf")] == ["one", "two"]
    assert [shot.image.size for shot in capture(tmp_path / "b.png")] == [(50, 40)]
    assert [shot.title for shot in capture(str(tmp_path / "c.md"))] == ["Heading"]


def test_a_file_under_a_wrong_name_is_known_by_its_content(tmp_path):
    write_pdf(tmp_path / "a.pdf", ["one"]).rename(tmp_path / "a.png")
    assert [shot.text for shot in capture(tmp_path / "a.png")] == ["one"]


def test_errors_name_the_file_in_one_line(tmp_path):
    (tmp_path / "a.xyz").write_text("?")
    with Worker() as worker:
        with pytest.raises(UnsupportedError, match=r"a\.xyz: is of a kind that visir does not read"):
            list(worker.capture(str(tmp_path / "a.xyz")))
        with pytest.raises(CaptureError, match="No such file"):
            list(worker.capture(str(tmp_path / "missing.pdf")))


def test_a_killed_renderer_is_one_failed_file_and_the_next_one_works(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["page"] * 300)
    with Worker() as worker:
        shots = worker.capture(str(path))
        next(shots)
        assert worker._process is not None
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(CaptureError, match="crashed its renderer"):
            list(shots)
        assert len(list(worker.capture(str(path)))) == 300


def test_a_renderer_that_hangs_is_given_up_and_the_next_file_works(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["page"] * 3)
    with Worker(CaptureOptions(timeout=3)) as worker:
        list(worker.capture(str(path)))
        assert worker._process is not None
        os.kill(worker._process.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(CaptureTimeout, match="took longer than"):
            list(worker.capture(str(path)))
        assert time.monotonic() - started < 10
    with Worker(CaptureOptions(timeout=20)) as worker:
        assert len(list(worker.capture(str(path)))) == 3


def test_an_abandoned_capture_leaves_nothing_behind(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["page"] * 300)
    before = set(children(os.getpid()))
    shots = capture(path)
    next(shots)
    shots.close()
    assert set(children(os.getpid())) == before


def test_a_worker_dies_with_its_killed_parent(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["page"] * 300)
    code = (
        "import sys\nfrom visir.capture import Worker\nw = Worker()\ns = w.capture(sys.argv[1])\nnext(s)\n"
        "print(w._process.pid, w._folder, flush=True)\nsys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, folder = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    until(lambda: not alive(int(pid)))
    until(lambda: not Path(folder).exists())
    parent.stdin.close()
    parent.stdout.close()


def test_a_browser_that_outlives_its_renderer_is_killed_by_its_lock(tmp_path):
    profile = tmp_path / "work" / "profile"
    profile.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as browser:
        (profile / "SingletonLock").symlink_to(f"host-{browser.pid}")
        worker_module._remove(str(profile.parent))
        try:
            assert browser.wait(5) == -signal.SIGKILL
        finally:
            browser.kill()
    assert not profile.parent.exists()


@pytest.mark.skipif(not find_soffice(), reason="needs LibreOffice")
@pytest.mark.parametrize("blocked", [True, False])
def test_libreoffice_goes_with_a_killed_parent_also_where_its_worker_was_writing(tmp_path, blocked):
    path = write_pdf(tmp_path / "a.pdf", ["page"] * 300)
    code = (
        "import sys\nfrom visir.capture import Worker\nw = Worker()\nlist(w.capture(sys.argv[1]))\n"
        "s = w.capture(sys.argv[2])\nif sys.argv[3] == 'True': next(s)\n"
        "print(w._folder, flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(SAMPLES / "hausordnung.odt"), str(path), str(blocked)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    folder = parent.stdout.readline().strip()
    time.sleep(1)
    parent.kill()
    parent.wait()
    until(lambda: not list(processes_with(folder)))
    until(lambda: not Path(folder).exists())
    parent.stdin.close()
    parent.stdout.close()


@pytest.mark.slow
def test_five_thousand_pages_are_captured_in_little_memory(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["a page with some words on it, as pages have\n" * 20] * 5000)
    peak = 0
    with Worker(CaptureOptions(memory=700 << 20)) as worker:
        count = 0
        for _ in worker.capture(str(path)):
            count += 1
            if count % 250 == 0:
                status = Path(f"/proc/{worker._process.pid}/status").read_text()
                peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
    assert count == 5000
    assert peak < 300_000, f"{peak} kB"

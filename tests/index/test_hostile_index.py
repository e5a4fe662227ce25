"""A folder of damaged and hostile files among good ones: the run goes on, each failure is told once and kept, the good ones are found."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import TOPICS, write_pdf

sys.path.append(str(Path(__file__).parents[1] / "capture"))

import hostile

from visir.capture import CaptureOptions
from visir.capture.office import find_soffice
from visir.index import Index, Listeners
from visir.index.paths import name_of, path_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes pipes, devices and names that others refuse")
OPTIONS = CaptureOptions(timeout=15)
DOUBLING = next(case for case in hostile.PDF if case.name == "forms-that-double.pdf")
ODD_NAMES = ("line\nfeed", "'; DROP TABLE documents; --", '"quoted"', "-rf", "\u202egnp", "😀", "x" * 251, os.fsdecode(b"caf\xe9"))


def sure_failures():
    """The cases that fail at once, whoever captures them."""
    tables = (hostile.PDF, hostile.IMAGES, hostile.TEXTS, hostile.OFFICE if find_soffice() else ())
    cases = [case for table in tables for case in table]
    return [case for case in cases if case.reason and case.sure and not case.slow and case.timeout == 30 and case.name != "bomb.docx"]


def make_folder(folder, cases):
    """Fill a folder; return the reasons of the files that must fail, and the names of those that must not."""
    for name, pages in TOPICS.items():
        write_pdf(folder / "good" / f"{name}.pdf", pages)
    bad = folder / "bad.pdf"
    bad.mkdir()
    reasons = {case.write(bad): case.reason for case in cases}
    for name in ODD_NAMES:
        (bad / f"{name}.pdf").write_bytes(b"%PDF-1.7\n")
        reasons[bad / f"{name}.pdf"] = "is damaged"
    for name, target, reason in (
        ("circle.pdf", "circle.pdf", "Too many levels of symbolic links"),
        ("nowhere.html", "gone", "leads nowhere"),
        ("device.txt", "/dev/zero", "not a regular file"),
    ):
        (bad / name).symlink_to(target)
        reasons[bad / name] = reason
    (bad / "again").symlink_to(folder)
    os.mkfifo(bad / "pipe.pdf")
    return reasons


def test_a_folder_of_hostile_files_is_indexed_in_one_go(tmp_path, open_index):
    reasons = make_folder(tmp_path / "folder", [*sure_failures(), DOUBLING])
    assert len(reasons) > 50
    good = tmp_path / "folder" / "odd"
    for name in ODD_NAMES:
        write_pdf(good / f"{name}.pdf", ["The wombat digs at night."])
    told = []
    index: Index = open_index(options=OPTIONS)
    summary = index.add(tmp_path / "folder", listeners=Listeners(failure=lambda *failure: told.append(failure)))

    assert summary.done == summary.files == summary.indexed + summary.failed
    assert summary.indexed == len(TOPICS) + len(ODD_NAMES)
    assert sorted(name for name, _ in told) == sorted(map(name_of, reasons))
    failures = index.status().failures
    assert sorted((document.path, document.reason) for document in failures) == sorted(told)
    for document in failures:
        reason = reasons[path_of(document.path)]
        assert re.search(reason, document.reason), document
        assert document.reason.splitlines() == [document.reason]
        assert document.state in ("failed", "partial")
    assert index.search("sourdough bread")[0].uri.endswith("bread.pdf")
    assert {path_of(hit.uri) for hit in index.search("wombat", count=20) if "wombat" in hit.snippet} == set(good.iterdir())

    told.clear()
    again = index.add(tmp_path / "folder", listeners=Listeners(failure=lambda *failure: told.append(failure)))
    assert (again.indexed, again.pages, again.removed, again.renamed) == (0, 0, 0, 0)
    assert again.unchanged == summary.files
    assert index.status().failures == failures


def test_a_repaired_file_is_captured_and_no_failure_any_more(tmp_path, open_index):
    path = tmp_path / "folder" / "a.pdf"
    path.parent.mkdir()
    path.write_bytes(hostile.encrypted_pdf(b"secret"))
    index = open_index(options=OPTIONS)
    assert index.add(path.parent).failed == 1
    write_pdf(path, TOPICS["bread"])
    assert index.add(path.parent).indexed == 1
    assert index.status().failures == []
    # And the other way round: a good file that is damaged is not found any more.
    path.write_bytes(b"%PDF-1.7\n")
    assert index.add(path.parent).failed == 1
    assert index.search("sourdough bread") == []


def test_the_command_line_prints_one_line_for_each_failed_file_and_exits_with_1(tmp_path):
    cases = [case for case in sure_failures() if case in (*hostile.PDF, *hostile.TEXTS)]
    reasons = make_folder(tmp_path / "folder", cases)
    command = [
        sys.executable,
        "-m",
        "visir.cli.main",
        "index",
        str(tmp_path / "folder"),
        "--index",
        str(tmp_path / "index"),
        "--timeout",
        "15",
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1, lines
    assert done.stdout == b""
    failed = [line for line in lines if line.startswith("failed: ")]
    assert len(failed) == len(set(failed)) == len(reasons)
    for path, reason in reasons.items():
        if path.name.isascii() and path.name.isprintable():
            (line,) = (line for line in failed if line.startswith(f"failed: {path}: "))
            assert re.search(reason, line)
    others = [line for line in lines if line not in failed]
    assert others[0] == f"indexing into {tmp_path / 'index'}"
    assert re.fullmatch(rf"indexed 3 · unchanged 0 · removed 0 · failed {len(reasons)} · .*", others[-1])
    assert all(" files · " in line for line in others[1:-1])

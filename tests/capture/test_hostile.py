"""Damaged and hostile files through the real worker: one clear line each, and the next file is captured as if nothing had been."""

import contextlib
import http.server
import os
import re
import socket
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import hostile
import pytest
from hostile import Case
from PIL import Image
from processes import processes, processes_with

from visir.capture import CaptureOptions, Worker
from visir.capture.ocr import find_tesseract
from visir.capture.office import find_soffice
from visir.capture.web import find_chromium
from visir.errors import CaptureError, CaptureTimeout, MissingToolError, PartialCaptureError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SAMPLES = Path(__file__).parents[2] / "samples" / "documents"
PATIENT = CaptureOptions(timeout=60)
GOOD = {
    "pdf": Case("good.pdf", lambda: hostile.GOOD_PDF, text="Pdfword"),
    "image": Case("good.png", lambda: hostile.png(Image.new("RGB", (40, 40), "red"))),
    "office": Case("good.docx", hostile.docx, text="Officeword"),
    "text": Case("good.txt", lambda: b"Textword", text="Textword"),
    "web": Case("good.html", hostile.html(""), text="Webword"),
}
TABLES = {"pdf": hostile.PDF, "image": hostile.IMAGES, "office": hostile.OFFICE, "text": hostile.TEXTS, "web": hostile.WEB}


def left_by(word):
    """The processes that name a word in their command line, and the dead children of this one."""
    yield from processes_with(word)
    for entry in processes():
        with contextlib.suppress(OSError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                yield entry


@contextlib.contextmanager
def clean():
    """Whatever begins in the block leaves no process and no folder."""
    # Chromium puts a socket there, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        yield
        end = time.monotonic() + 10
        while time.monotonic() < end and list(left_by(folder)):
            time.sleep(0.1)
        assert list(left_by(folder)) == []
        assert os.listdir(folder) == []


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """One worker for all, which must leave nothing behind in the end."""
    tmp_path_factory.getbasetemp()  # made before the place of temporary folders is another
    with clean(), Worker(PATIENT) as worker:
        yield worker


def tool_of(kind):
    """Skip where what draws a kind is not installed."""
    if kind == "office" and not find_soffice():
        pytest.skip("needs LibreOffice")
    if kind == "web":
        pytest.importorskip("playwright")
        try:
            find_chromium()
        except MissingToolError as error:
            pytest.skip(str(error))


def captured(worker, source, **options):
    """The pages of a source, and the error that ended them."""
    worker.options = replace(PATIENT, **options)
    shots, error = [], None
    try:
        shots.extend(worker.capture(str(source)))
    except CaptureError as caught:
        error = caught
    for number, shot in enumerate(shots, 1):
        assert shot.page == number
        assert max(shot.image.size) <= 1280
        assert shot.title.encode() == b" ".join(shot.title.encode().split())
        assert len(shot.text.split()) == len(shot.words)
    if error is not None:
        assert error.uri == str(source)
        assert error.reason == " ".join(error.reason.split())
        assert 5 < len(error.reason) < 400
        assert not re.search(r"Traceback|File \"|\w(Error|Exception):|Call log", error.reason)
    return shots, error


def check_good(worker, folder, kind):
    """A good file is captured by the worker as it is now."""
    case = GOOD[kind]
    shots, error = captured(worker, case.write(folder))
    assert error is None
    assert len(shots) == 1
    assert case.text in shots[0].text


def cases():
    for kind, table in TABLES.items():
        for case in table:
            yield pytest.param(kind, case, id=case.name, marks=[pytest.mark.slow] if case.slow else [])


@pytest.mark.parametrize(("kind", "case"), cases())
def test_hostile_file_is_one_clear_line_and_the_next_file_is_captured(worker, tmp_path, kind, case):
    tool_of(kind)
    shots, error = captured(worker, case.write(tmp_path), timeout=case.timeout, max_pages=case.max_pages)
    if error is not None:
        assert case.reason, error
        assert re.search(case.reason, error.reason)
    else:
        assert not case.reason or not case.sure
        assert shots
        assert re.search(case.text, shots[0].text)
    assert case.pages is None or len(shots) == case.pages
    check_good(worker, tmp_path, kind)


def test_the_tables_name_each_file_once():
    names = [case.name for table in TABLES.values() for case in table]
    assert len(names) == len(set(names)) > 40


def test_pictures_are_turned_upright(worker, tmp_path):
    corners = {}
    for number in range(1, 9):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(hostile.turned(number))
        ((shot,), _) = captured(worker, path)
        corners[number] = (
            [round(value / 255) for value in shot.image.getpixel((20, 20))],
            shot.image.getpixel((380, 280))[1] > 200,
            shot.image.size,
        )
    assert set(map(str, corners.values())) == {str(([1, 0, 0], True, (400, 300)))}


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_picture_of_a_moving_one_counts(worker, tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(hostile.animated(kind))
    ((shot,), _) = captured(worker, path)
    red, green, blue = shot.image.getpixel((25, 25))
    assert red > 200 > 50 > max(green, blue)


def test_a_large_picture_is_captured_whole_in_little_memory(tmp_path):
    image = Image.new("RGBA", (9000, 6000), "blue")
    image.paste("red", (0, 0, 4500, 3000))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "a.png", exif=exif, compress_level=1)
    # Twice what the decoded picture takes, and some more for a program that has drawn nothing before.
    with Worker(PATIENT) as worker:
        ((shot,), _) = captured(worker, tmp_path / "a.png", memory=(9000 * 6000 * 4 * 2) + (300 << 20))
    assert shot.image.size == (853, 1280)
    assert shot.image.getpixel((800, 20))[0] > 200
    assert shot.image.getpixel((20, 20))[2] > 200


def test_frames_before_a_damaged_one_are_kept(worker, tmp_path):
    frames = [Image.new("L", (300, 300), level) for level in (0, 100, 200)]
    path = tmp_path / "a.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    path.write_bytes(path.read_bytes()[:-50_000])
    shots, error = captured(worker, path)
    assert len(shots) == 2
    assert isinstance(error, PartialCaptureError)
    assert "is damaged behind page 2" in error.reason


def test_a_reason_is_not_that_of_the_file_before(worker, tmp_path):
    for name, reason in (("encrypted.pdf", "is encrypted"), ("no-pages.pdf", "is damaged or has no pages")):
        case = next(case for case in hostile.PDF if case.name == name)
        assert reason in captured(worker, case.write(tmp_path))[1].reason


@pytest.mark.parametrize(("ending", "part"), [(ending, part) for ending in ("xls", "doc") for part in (0.2, 0.6, 0.9)])
def test_a_cut_office_file_is_not_shown_as_its_bytes(worker, tmp_path, ending, part):
    tool_of("office")
    path = tmp_path / f"a.{ending}"
    path.write_bytes(hostile.cut(hostile.encrypted_docx(), part))
    shots, error = captured(worker, path)
    assert shots == []
    assert hostile.UNREADABLE in error.reason


def rewritten(target, source, change):
    """Copy an archive, each part as ``change(name, content)`` makes it; ``None`` leaves a part out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


BREAKS = {
    "empty": lambda content: b"",
    "junk": lambda content: b"junk" * 99,
    "missing": lambda content: None,
    "cut": lambda content: content[:99],
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_spreadsheet_with_broken_sheets_is_no_empty_page(worker, tmp_path, how):
    tool_of("office")
    source = SAMPLES / "summer-play-budget.xlsx"
    path = rewritten(tmp_path / "all.xlsx", source, lambda name, content: BREAKS[how](content) if "worksheets/sheet" in name else content)
    shots, error = captured(worker, path)
    assert shots == []
    assert "damaged" in error.reason
    assert "sheet1.xml" in error.reason
    path = rewritten(tmp_path / "one.xlsx", source, lambda name, content: BREAKS[how](content) if "worksheets/sheet1" in name else content)
    shots, error = captured(worker, path)
    assert "Tickets sold" in shots[0].text
    assert isinstance(error, PartialCaptureError)
    assert "sheet1.xml" in error.reason
    assert "sheet2.xml" not in error.reason


def test_a_sheet_whose_bytes_were_overwritten_is_told(worker, tmp_path):
    tool_of("office")
    source = SAMPLES / "summer-play-budget.xlsx"
    content = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as archive:
        place = archive.getinfo("xl/worksheets/sheet1.xml").header_offset
    content[place + 80 : place + 120] = bytes(40)
    path = tmp_path / "overwritten.xlsx"
    path.write_bytes(content)
    shots, error = captured(worker, path)
    assert "Tickets sold" in shots[0].text
    assert isinstance(error, PartialCaptureError)
    assert "sheet1.xml" in error.reason


def test_a_broken_slide_is_told_and_the_others_are_kept(worker, tmp_path):
    tool_of("office")
    source = SAMPLES / "night-bus-trial.pptx"
    path = rewritten(tmp_path / "a.pptx", source, lambda name, content: content[:200] if name == "ppt/slides/slide1.xml" else content)
    shots = []
    with pytest.raises(PartialCaptureError, match=r"slide1\.xml"):
        shots.extend(worker.capture(str(path)))
    assert [shot.page for shot in shots] == [2, 3, 4, 5]
    assert "Why a night bus?" in shots[0].text


@pytest.mark.skipif(not find_tesseract(), reason="needs tesseract")
def test_a_page_too_hard_to_read_stays_without_words(worker, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(hostile.png(hostile.painting(1280, 1280)))
    shots, error = captured(worker, path, ocr=True, timeout=2)
    assert (len(shots), error) == (1, None)


# ---- what a file may not reach


@pytest.fixture
def server():
    """A server on the loopback: its address, and what it was asked."""
    hits = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_error(404)

        do_HEAD = do_OPTIONS = do_PROPFIND = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", hits
        listening.shutdown()


def test_office_files_fetch_nothing_and_show_no_other_file(worker, tmp_path, server):
    tool_of("office")
    address, hits = server
    secret = tmp_path / "secret.txt"
    secret.write_text("Secretword")
    field = f'{{\\field{{\\*\\fldinst INCLUDEPICTURE "{address}/rtf.png" \\\\d}}{{\\fldrslt x}}}}'
    for name, content in {
        "a.docx": hostile.calling_docx(address),
        "a.odt": hostile.calling_odt(address, secret),
        "a.xlsx": hostile.calling_xlsx(address),
        "a.rtf": f"{{\\rtf1 Officeword {field}}}".encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
        shots, error = captured(worker, tmp_path / name)
        assert error is None
        assert shots
        assert "Secretword" not in shots[0].text
    assert hits == []
    assert not Path("/tmp/climbed.txt").exists()


# ---- files that are no files


def pipe(path):
    os.mkfifo(path)


def socket_at(path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def circle(path):
    path.symlink_to(path.name)


FILES = (
    Case("folder.pdf", Path.mkdir, "is a folder, a pipe or a device"),
    Case("pipe.pdf", pipe, "is a folder, a pipe or a device"),
    Case("pipe.html", pipe, "is a folder, a pipe or a device"),
    Case("socket.png", socket_at, "is a folder, a pipe or a device"),
    Case("device.txt", lambda path: path.symlink_to("/dev/zero"), "is a folder, a pipe or a device"),
    Case("circle.pdf", circle, "cannot be read: Too many levels of symbolic links"),
    Case("nowhere.pdf", lambda path: path.symlink_to("gone"), "cannot be read: No such file"),
    Case("absent.docx", lambda path: None, "cannot be read: No such file"),
)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_what_is_no_file_is_one_clear_line_at_once(worker, tmp_path, case):
    check_good(worker, tmp_path, "pdf")
    started = time.monotonic()
    shots, error = captured(worker, case.write(tmp_path))
    assert shots == []
    assert re.search(case.reason, error.reason)
    assert not isinstance(error, CaptureTimeout)
    assert time.monotonic() - started < 10
    check_good(worker, tmp_path, "pdf")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_locked_file_is_one_clear_line(worker, tmp_path):
    path = GOOD["pdf"].write(tmp_path)
    path.chmod(0)
    assert "cannot be read: Permission denied" in captured(worker, path)[1].reason


NAMES = [
    "line\nfeed and\ttab", "quote'\"`$(touch x)", "'; DROP TABLE pages; --", "-rf", "x" * 250, "😀", "\u202egnp.exe", "a%41#b?c&d", " ", "http:",
    os.fsdecode(b"caf\xe9 \xff"),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("kind", ["pdf", "image", "text", "web", "office"])
def test_files_of_any_name_are_captured(worker, tmp_path, kind, name):
    tool_of(kind)
    good = GOOD[kind]
    ending = Path(good.name).suffix
    path = tmp_path / (name[: 255 - len(ending)] + ending)
    path.write_bytes(good.make())
    shots, error = captured(worker, path)
    assert error is None
    assert len(shots) == 1
    assert good.text in shots[0].text
    assert shots[0].uri == str(path)
    assert shots[0].digest


def test_a_file_that_vanishes_while_it_is_captured_is_captured_whole(worker, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(hostile.many_pages(60))
    worker.options = PATIENT
    shots = worker.capture(str(path))
    next(shots)
    path.unlink()
    assert 1 + sum(1 for _ in shots) == 60


def test_a_file_that_is_cut_while_it_is_captured_ends(worker, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(hostile.many_pages(300))
    worker.options = PATIENT
    shots = worker.capture(str(path))
    next(shots)
    os.truncate(path, 100)
    with contextlib.suppress(CaptureError):
        assert sum(1 for _ in shots) == 299
    check_good(worker, tmp_path, "pdf")


def test_a_file_that_grows_is_captured_to_the_end_it_has(worker, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("line\n" * 20_000)
    worker.options = replace(PATIENT, max_pages=200)
    count = 0
    for _ in worker.capture(str(path)):
        count += 1
        if count <= 5:
            with path.open("a") as file:
                file.write("more\n" * 100)
    assert 200 >= count > 100


@pytest.mark.slow
def test_thousands_of_empty_pages(worker, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(hostile.many_pages(3_000))
    worker.options = PATIENT
    assert sum(1 for _ in worker.capture(str(path))) == 3_000


def test_a_page_that_hangs_leaves_no_process_and_no_folder(tmp_path):
    tool_of("web")
    path = next(case for case in hostile.WEB if case.name == "loop.html").write(tmp_path)
    with clean(), Worker(CaptureOptions(timeout=5)) as worker:
        assert isinstance(captured(worker, path, timeout=5)[1], CaptureTimeout)


def test_each_file_is_drawn_as_the_worker_is_told_then(worker, tmp_path):
    tool_of("web")
    path = tmp_path / "a.html"
    path.write_bytes(hostile.html("<div style='height:9000px'></div>end")())
    assert [len(captured(worker, path, max_pages=count)[0]) for count in (1, 3)] == [1, 3]

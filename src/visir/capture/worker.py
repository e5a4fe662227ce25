"""The process that renders, and the handle that starts, feeds, times and ends it.

Renderers of other people's files crash and hang. So they run in a child process: requests go in as lines of JSON, pages
come out as frames of a JSON header and the picture's bytes. The pipe between holds about one page, so the child renders
ahead by one page and no more. Whatever the child starts (browser, LibreOffice) lives in its process group and in its
temporary folder, and goes with it.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import visir.errors
from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, CaptureTimeout, NoPageError
from visir.screenshot import Screenshot, Word

_FRAME = struct.Struct("<II")
_PAGE_SECONDS = 1.0
_LINGER_SECONDS = 5.0
_ERRORS = {name: kind for name, kind in vars(visir.errors).items() if isinstance(kind, type) and issubclass(kind, CaptureError)}


class Worker:
    """Captures sources in a child process that is started when first needed and again after it died.

    Use it as a context manager, or call `close`. One capture at a time.

    Attributes:
        cut: whether the last source has more pages than `CaptureOptions.max_pages`, which were left out.
    """

    def __init__(self, options: CaptureOptions | None = None) -> None:
        self.options = options or CaptureOptions()
        self.cut = False
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""
        self._frames: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue(1)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def capture(self, source: str) -> Iterator[Screenshot]:
        """Yield the screenshots of a file or an http(s) address, page by page.

        Raises:
            CaptureError: the source cannot be captured; `CaptureTimeout` if it took too long.
        """
        self.cut = False
        process = self._running()
        request = json.dumps({"source": source, "options": asdict(self.options)})
        finished = False
        try:
            assert process.stdin is not None
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()
            yield from self._receive(source)
            finished = True
        except BrokenPipeError as error:
            raise CaptureError(source, "stopped its renderer before it began: try again") from error
        except CaptureError as error:
            finished = not isinstance(error, _RendererDied | CaptureTimeout)
            raise
        finally:
            # An unfinished child still pours out pages of this source: it cannot serve the next one.
            if not finished:
                self.close()

    def _receive(self, source: str) -> Iterator[Screenshot]:
        patience = self.options.timeout
        while True:
            asked = time.monotonic()
            try:
                frame = self._frames.get(timeout=max(patience, 0.001))
            except queue.Empty:
                raise CaptureTimeout(source, too_slow(self.options.timeout)) from None
            patience -= time.monotonic() - asked
            if frame is None:
                raise _RendererDied(source, "crashed its renderer: the file is damaged or hostile")
            header, encoded = frame
            if "error" in header:
                raise _ERRORS[header["error"]](source, header["reason"])
            if "end" in header:
                self.cut = header["cut"]
                return
            patience += _PAGE_SECONDS
            words = tuple(Word(text, tuple(box)) for text, box in header.pop("words"))
            yield Screenshot(encoded, words=words, **header)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._folder = tempfile.mkdtemp(prefix="visir-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "visir.capture.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("VISIR_DEBUG") else subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": self._folder, "TMP": self._folder, "TEMP": self._folder, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self._frames = queue.Queue(1)
        threading.Thread(target=_read_frames, args=(self._process.stdout, self._frames), daemon=True).start()
        return self._process

    def close(self) -> None:
        """End the child process and all that it started, and remove its temporary files."""
        process, self._process = self._process, None
        if process is not None:
            _kill_group(process)
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            with contextlib.suppress(queue.Empty):
                # The reading thread may wait with a frame in its hand.
                while self._frames.get(timeout=5) is not None:
                    pass
        if self._folder:
            _remove(self._folder)
            self._folder = ""


def too_slow(seconds: float) -> str:
    """Return why a source was given up at a time limit."""
    return f"took longer than {seconds:.0f} s to capture: given up (--timeout allows more)"


class _RendererDied(CaptureError):
    """The child process ended in the middle of a source."""


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _remove(folder: str) -> None:
    """Remove a renderer's folder with what still writes into it.

    Chromium has a process group of its own. It ends when its driver is gone, but writes its profile first, and makes the
    folder anew for that. Its lock on the profile tells its process: a link to ``HOST-PID``.
    """
    with contextlib.suppress(OSError):
        for profile in Path(folder).iterdir():  # not glob: it passes over a link that leads nowhere
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(os.readlink(profile / "SingletonLock").rpartition("-")[2]), signal.SIGKILL)
    end = time.monotonic() + _LINGER_SECONDS
    while os.path.exists(folder) and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def _read_frames(stream: IO[bytes], frames: "queue.Queue[tuple[dict[str, Any], bytes] | None]") -> None:
    with stream:
        while True:
            sizes = stream.read(_FRAME.size)
            if len(sizes) < _FRAME.size:
                break
            header_size, body_size = _FRAME.unpack(sizes)
            header, body = stream.read(header_size), stream.read(body_size)
            if len(body) < body_size or len(header) < header_size:
                break
            frames.put((json.loads(header), body))
    frames.put(None)


# Below here: what runs in the child process.


class _Renderers:
    """The renderers of the child process; browser and LibreOffice stay warm from one source to the next."""

    def __init__(self) -> None:
        self._browser: Any = None
        self._office: Any = None

    def capture(self, source: str, options: CaptureOptions) -> Generator[Screenshot]:
        from visir.capture.kinds import kind_of_file

        if source.startswith(("http://", "https://")):
            yield from self._address(source, options)
            return
        path = Path(source)
        kind = kind_of_file(path)
        if kind == "web":
            yield from self._web(source, options)
        elif kind == "office":
            from visir.capture.office import Office

            self._office = self._office or Office(options)
            self._office.options = options
            yield from self._office.capture(path)
        else:
            with _memory_limit(options.memory):
                yield from _light(path, kind, options)

    def _address(self, address: str, options: CaptureOptions) -> Iterator[Screenshot]:
        """Show an address in the browser; what is no web page is fetched and drawn as the file that it is."""
        from visir.capture.download import download, promises_file
        from visir.capture.kinds import kind_of_file

        with tempfile.TemporaryDirectory() as folder:
            if not promises_file(address):
                try:
                    yield from self._web(address, options)
                    return
                except NoPageError:
                    pass
            fetched = download(address, Path(folder), options)
            if fetched is None or kind_of_file(fetched) == "web":
                yield from self._web(address, options)
                return
            try:
                for shot in self.capture(str(fetched), options):
                    yield replace(shot, uri=address)
            except CaptureError as error:
                raise type(error)(address, error.reason) from None

    def _web(self, source: str, options: CaptureOptions) -> Iterator[Screenshot]:
        from visir.capture.web import Browser

        self._browser = self._browser or Browser(options)
        self._browser.options = options
        yield from self._browser.capture(source)


def _light(path: Path, kind: str, options: CaptureOptions) -> Iterator[Screenshot]:
    if kind == "pdf":
        from visir.capture import pdf

        return pdf.render(path, options)
    if kind == "image":
        from visir.capture import image

        return image.render(path, options)
    from visir.capture import text

    return text.render(path, options, kind)


@contextlib.contextmanager
def _memory_limit(limit: int) -> Iterator[None]:
    """Bound the address space while a file is drawn; the browser and LibreOffice reserve far more than they use."""
    if not limit or sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    within = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (within, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _send(out: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    encoded = json.dumps(header).encode()
    out.write(_FRAME.pack(len(encoded), len(body)) + encoded + body)
    out.flush()


def _page_header(shot: Screenshot) -> dict[str, Any]:
    words = [(word.text, word.box) for word in shot.words]
    # A title may be made of a file's name, which may be anything but text; nothing that keeps text takes it then.
    title = " ".join(shot.title.encode("utf-8", "replace").decode().split())
    return {"uri": shot.uri, "page": shot.page, "title": title, "text": shot.text, "words": words, "date": shot.date}


def _serve(requests: "queue.Queue[dict[str, Any]]", out: IO[bytes]) -> None:
    from visir.capture.ocr import read_words

    renderers = _Renderers()
    while True:
        request = requests.get()
        source, options = request["source"], CaptureOptions(**request["options"])
        cut = False
        try:
            # One page more than is wanted tells whether there are more.
            with contextlib.closing(renderers.capture(source, replace(options, max_pages=options.max_pages + 1))) as pages:
                for number, shot in enumerate(pages, 1):
                    cut = number > options.max_pages
                    if cut:
                        break
                    if options.ocr and not shot.words:
                        # A page that tesseract is too slow for stays without words; the whole time would cost the file.
                        shot = read_words(shot, options.ocr_language, options.timeout / 2)
                    _send(out, _page_header(shot), shot.encoded)
            _send(out, {"end": True, "cut": cut})
        except CaptureError as error:
            _send(out, {"error": type(error).__name__, "reason": error.reason})
        except (MemoryError, RecursionError) as error:
            what = "memory" if isinstance(error, MemoryError) else "depth"
            _send(out, {"error": "CaptureError", "reason": f"needs more {what} than its renderer is given ({options.memory >> 20} MB)"})
        except BrokenPipeError:
            raise
        except Exception as error:  # whatever a damaged file brings out of a renderer is that file's failure, not the run's
            _send(out, {"error": "CaptureError", "reason": f"cannot be drawn: {type(error).__name__}: {str(error)[:200]}"})


def _watch_parent(requests: "queue.Queue[dict[str, Any]]") -> None:
    """Pass requests on; when the parent is gone, however it went, take everything that was started along."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    _remove(os.environ["TMPDIR"])
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Serve capture requests from standard input until it ends."""
    # Libraries and child processes may print: the frames get a descriptor of their own.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    watcher = threading.Thread(target=_watch_parent, args=(requests,), daemon=True)
    watcher.start()
    with contextlib.suppress(BrokenPipeError):
        _serve(requests, out)
    # Nobody takes pages any more. The watcher ends this process, and with it what was started; ending here would leave that behind.
    watcher.join()


if __name__ == "__main__":
    main()

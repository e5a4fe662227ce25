"""Office files into screenshots: LibreOffice makes a PDF, and the PDF's pages are captured."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.parsers import expat

from visir.capture import pdf
from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, MissingToolError, PartialCaptureError
from visir.screenshot import Screenshot

# A profile of our own: no macros, and nothing that a document links to is fetched.
_SETTINGS = (
    ("Security/Scripting", "MacroSecurityLevel", "3"),
    ("Security/Scripting", "DisableMacrosExecution", "true"),
    ("Security/Scripting", "DisableActiveContent", "true"),
    ("Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Misc", "FirstRun", "false"),
)
_PROFILE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<oor:items xmlns:oor="http://openoffice.org/2001/registry">\n'
    + "\n".join(
        f'<item oor:path="/org.openoffice.Office.Common/{place}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
        for place, name, value in _SETTINGS
    )
    + "\n</oor:items>\n"
)
_PART = re.compile(r"xl/(worksheets/[^/]+|sharedStrings)\.xml|ppt/slides/[^/]+\.xml")
# What reading an archive raises where it is damaged, or where a part of it is locked or packed in a way that Python does not know.
_DAMAGES = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, RuntimeError, ValueError)
_HEAD_START = 0.5
_KNOWN_PLACES = ("/Applications/LibreOffice.app/Contents/MacOS/soffice", "C:/Program Files/LibreOffice/program/soffice.exe")


@cache
def find_soffice() -> str | None:
    """Return LibreOffice's path (``VISIR_SOFFICE``, else the search path, else the usual places), or ``None``."""
    named = os.environ.get("VISIR_SOFFICE") or shutil.which("soffice") or shutil.which("libreoffice")
    return named or next((place for place in _KNOWN_PLACES if Path(place).exists()), None)


class Office:
    """LibreOffice kept running in the background, so that only the first of many files waits for its start.

    A second LibreOffice with the same profile hands its work to the one that runs. Nothing here bounds its time: the
    worker process that this runs in is ended from outside, and LibreOffice with it.
    """

    def __init__(self, options: CaptureOptions) -> None:
        self.options = options
        self._folder = Path(tempfile.mkdtemp(prefix="visir-office-"))
        self._server: subprocess.Popen[bytes] | None = None

    def capture(self, path: Path) -> Iterator[Screenshot]:
        """Yield the pages of an Office file.

        Raises:
            MissingToolError: LibreOffice is not installed.
            CaptureError: LibreOffice cannot read the file.
            PartialCaptureError: after the last page, where sheets or slides are damaged and others are not.
        """
        uri = str(path)
        soffice = find_soffice()
        if soffice is None:
            raise MissingToolError(uri, "needs LibreOffice: install it (Debian and Ubuntu: apt install libreoffice) and index again")
        with tempfile.TemporaryDirectory(prefix="visir-pdf-") as folder:
            # A name of our own: LibreOffice takes some characters of a file name for options or addresses, and shows the bytes of
            # a damaged file as text where the ending is one that such files have.
            source = Path(folder, "document.bin")
            shutil.copyfile(path, source)
            self._convert(soffice, source)
            target = source.with_suffix(".pdf")
            if not target.exists():
                raise CaptureError(uri, "cannot be opened by LibreOffice: damaged, encrypted, or not what its name says")
            date, damaged = _date(path), _damaged_parts(path)
            told = False
            for shot in pdf.render(target, self.options, uri):
                # What LibreOffice cannot read of a damaged file it shows as empty pages.
                if shot.words or not damaged:
                    told = True
                    yield replace(shot, date=date)
            if damaged:
                listed = ", ".join(damaged[:3]) + (" …" if len(damaged) > 3 else "")
                reason = f"is damaged ({listed} cannot be read): open it in an Office program and save it anew"
                raise (PartialCaptureError if told else CaptureError)(uri, reason)

    def _convert(self, soffice: str, source: Path) -> None:
        base = self._base(soffice)
        if self._server is None or self._server.poll() is not None:
            # It ends after the first conversion unless a document is open.
            held_open = self._folder / "held-open.txt"
            held_open.write_text("visir", encoding="utf-8")
            self._server = _spawn([*base, str(held_open)])
            # Long enough for it to claim the profile, so that the next process hands over; else each does its own work.
            time.sleep(_HEAD_START)
        _spawn([*base, "--convert-to", "pdf", "--outdir", str(source.parent), str(source)]).wait()

    def _base(self, soffice: str) -> list[str]:
        settings = self._folder / "user" / "registrymodifications.xcu"
        if not settings.exists():
            settings.parent.mkdir(parents=True, exist_ok=True)
            settings.write_text(_PROFILE, encoding="utf-8")
        return [
            soffice,
            f"-env:UserInstallation={self._folder.as_uri()}",
            "--headless",
            "--norestore",
            "--nologo",
            "--nodefault",
            "--nolockcheck",
        ]


def _date(path: Path) -> str:
    """Return when an Office file says it was changed; the PDF made of it only knows today."""
    with contextlib.suppress(*_DAMAGES), zipfile.ZipFile(path) as archive:
        for part in {"docProps/core.xml", "meta.xml"} & set(archive.namelist()):
            found = re.search(rb"<(?:dcterms:modified|dc:date)[^>]*>(\d{4}-\d\d-\d\d)", archive.open(part).read(1 << 20))
            if found:
                return found[1].decode()
    return ""


def _damaged_parts(path: Path) -> list[str]:
    """Name the sheets and slides of an Office file that are missing, cut or overwritten; LibreOffice says nothing of them."""
    damaged = []
    with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
        wanted = {name for name in there if _PART.fullmatch(name)}
        for base in ("xl/_rels/workbook.xml.rels", "ppt/_rels/presentation.xml.rels"):
            with contextlib.suppress(*_DAMAGES):
                for target in re.findall(r'Target="([^"]+)"', archive.open(base).read(1 << 20).decode("utf-8", "replace")):
                    name = target.lstrip("/") if target.startswith("/") else base.partition("_rels")[0] + target
                    wanted |= {name} if _PART.fullmatch(name) else set()
        for name in sorted(wanted):
            try:
                with archive.open(name) as part:
                    expat.ParserCreate().ParseFile(part)
            except (*_DAMAGES, expat.ExpatError):
                damaged.append(name)
    return damaged


def _spawn(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

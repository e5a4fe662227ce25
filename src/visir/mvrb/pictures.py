"""Pictures of a benchmark by the paths that its rows name: from folders, or out of zip files that are not unpacked."""

import hashlib
import io
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from visir.errors import BenchmarkError
from visir.mvrb.cache import Cache, key_of

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


class Paths:
    """Finds things by a path that may be written with more or fewer leading folders than their own.

    One of both must be the end of the other: ``pages/1.png`` is found as ``Images/pages/1.png``, and never as ``charts/1.png``.

    Args:
        paths: the things' own paths, with ``/``.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._whole = set(paths)
        self._tails: dict[str, list[str]] = {}
        for path in sorted(self._whole):
            parts = path.split("/")
            for start in range(1, len(parts)):
                self._tails.setdefault("/".join(parts[start:]), []).append(path)

    def find(self, asked: str) -> list[str]:
        """Return the paths that the asked one may mean, the exact one alone if there is one; several are ambiguous."""
        plain = plain_path(asked)
        if plain in self._whole:
            return [plain]
        if plain in self._tails:
            return self._tails[plain]
        parts = plain.split("/")
        shorter = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next(([tail] for tail in shorter if tail in self._whole), [])


def plain_path(path: str) -> str:
    """Return a path with ``/`` between its parts and no ``.`` among them."""
    return str(PurePosixPath(path.strip().replace("\\", "/").lstrip("/")))


class PictureSource(Protocol):
    """Where the pictures of rows come from."""

    def read(self, path: str, where: str) -> bytes:
        """Return a picture's bytes; ``where`` is the file and line of the row that names it, for errors."""

    def digest(self, path: str, where: str) -> bytes:
        """Return a digest of a picture's bytes."""

    def check(self, wanted: Sequence[tuple[str, str]], note: Callable[[int], None] = lambda done: None) -> None:
        """Make sure that pictures, each by path and file and line, are there and whole."""


class Pictures:
    """The pictures of a benchmark.

    Args:
        folder: the benchmark; pictures and zip files of pictures lie anywhere in it.
        cache: remembers which pictures were found whole, so that a later run need not read them again.
    """

    def __init__(self, folder: Path, cache: Cache | None = None) -> None:
        self._folder = folder
        self._cache = cache
        self._opened = threading.local()
        self._digests: dict[str, bytes] = {}
        self._found: dict[tuple[str, Path], str] = {}

    @cached_property
    def _places(self) -> dict[str, tuple[Path, zipfile.ZipInfo | None]]:
        """Where each picture lies, by its path in the benchmark: a file, or a member of a zip file."""
        found: dict[str, tuple[Path, zipfile.ZipInfo | None]] = {}
        for archive in sorted(self._folder.rglob("*.zip")):
            base = archive.parent.relative_to(self._folder)
            found |= {plain_path((base / info.filename).as_posix()): (archive, info) for info in _members(archive)}
        for file in sorted(self._folder.rglob("*")):
            if file.suffix.lower() in _SUFFIXES and file.is_file():
                found[file.relative_to(self._folder).as_posix()] = (file, None)
        return found

    @cached_property
    def _paths(self) -> Paths:
        return Paths(self._places)

    def all_paths(self) -> list[str]:
        """Return the paths of all pictures, sorted."""
        return sorted(path for path in self._places if PurePosixPath(path).suffix.lower() in _SUFFIXES)

    def find(self, path: str, where: str) -> str:
        """Return a picture's path in the benchmark.

        Args:
            path: as a row names it; the folder of that row's file is looked into first.
            where: file and line of that row.

        Raises:
            BenchmarkError: there is none, there are several, or the path leads out of the benchmark.
        """
        near = Path(where.rpartition(":")[0]).parent
        if (path, near) not in self._found:
            self._found[path, near] = self._find(path, near, where)
        return self._found[path, near]

    def _find(self, path: str, near: Path, where: str) -> str:
        if ".." in plain_path(path).split("/"):
            raise BenchmarkError(f"{where}: the picture's path {path!r} leads out of the benchmark")
        base = near.relative_to(self._folder) if near.is_relative_to(self._folder) else Path()
        for start in (base, *base.parents):
            for inside in ("", "Images", "images"):
                exact = plain_path((start / inside / plain_path(path)).as_posix())
                if exact in self._places:
                    return exact
        found = self._paths.find(path)
        if not found:
            raise BenchmarkError(f"{where}: there is no picture {path!r}, neither in {self._folder} nor in a zip file there")
        if len(found) > 1:
            raise BenchmarkError(f"{where}: the picture {path!r} may be {' or '.join(found[:3])}: write more of its path")
        return found[0]

    def read(self, path: str, where: str) -> bytes:
        """Return a picture's bytes.

        Args:
            path: as a row names it.
            where: file and line of that row, for the error.

        Raises:
            BenchmarkError: it is not there, or damaged.
        """
        place = self.find(path, where)
        file, member = self._places[place]
        try:
            return file.read_bytes() if member is None else self._archive(file).read(member)
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise BenchmarkError(f"{where}: the picture {place} of {file} cannot be read: {error}; fetch it again") from error

    def check(self, wanted: Sequence[tuple[str, str]], note: Callable[[int], None] = lambda done: None) -> None:
        """Make sure that pictures are there and whole; those that an earlier run saw unchanged are not read again.

        Args:
            wanted: path and file and line of each.
            note: called with the number of pictures read so far.

        Raises:
            BenchmarkError: one is missing, ambiguous, damaged or no picture.
        """
        first = {self.find(path, where): (path, where) for path, where in reversed(wanted)}
        fresh = [place for place in first if place not in self._digests]
        done = 0

        def compute(positions: list[int]) -> list[bytes]:
            nonlocal done
            digests = [self._look(*first[fresh[position]]) for position in positions]
            done += len(positions)
            note(done)
            return digests

        keys = [self._stamp(place) for place in fresh]
        found = self._cache.through(keys, compute, 256) if self._cache else compute(list(range(len(keys))))
        self._digests.update(zip(fresh, found, strict=True))

    def digest(self, path: str, where: str) -> bytes:
        """Return a digest of a picture's bytes; it is checked on the way."""
        place = self.find(path, where)
        if place not in self._digests:
            self.check([(path, where)])
        return self._digests[place]

    def _look(self, path: str, where: str) -> bytes:
        raw = self.read(path, where)
        try:
            # `verify` finds what decoding overlooks in PNG, and nothing in JPEG.
            with Image.open(io.BytesIO(raw)) as picture:
                picture.verify()
            with Image.open(io.BytesIO(raw)) as picture:
                picture.load()
        except UnidentifiedImageError as error:
            raise BenchmarkError(f"{where}: {path} is no picture that can be read: its format is unknown") from error
        except Exception as error:  # Pillow raises whatever a format's reader stumbles over
            raise BenchmarkError(f"{where}: {path} is no picture that can be read: {error}") from error
        return hashlib.blake2b(raw, digest_size=16).digest()

    def _stamp(self, place: str) -> bytes:
        """Return what changes when a picture does, without reading it."""
        file, member = self._places[place]
        status = file.stat()
        parts = ("whole picture", str(file.resolve()), str(status.st_mtime_ns), str(status.st_size))
        return key_of(*parts, *((member.filename, str(member.CRC)) if member else ()))

    def _archive(self, path: Path) -> zipfile.ZipFile:
        # A zip file's handle has one position: each thread reads through its own.
        if not hasattr(self._opened, "archives"):
            self._opened.archives = {}
        if path not in self._opened.archives:
            self._opened.archives[path] = zipfile.ZipFile(path)
        archive: zipfile.ZipFile = self._opened.archives[path]
        return archive


def _members(archive: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise BenchmarkError(f"{archive} is damaged: {error}; fetch it again") from error
    for info in members:
        if ".." in info.filename.replace("\\", "/").split("/") or info.filename.startswith(("/", "\\")):
            raise BenchmarkError(f"{archive}: its entry {info.filename!r} leads out of the archive, by mistake or to do harm: leave it out")
    return members

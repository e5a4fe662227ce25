"""The practice pack: a few megabytes of text, words and fonts in one zip file, all that rendering needs.

`visir.vira.practice.build_pack` makes it. Inside: ``manifest.json`` (fonts with their families and splits, sources with their licences),
``texts/<language>.<split>.txt`` (one paragraph a line, ``title<TAB>text``), ``words/<language>.txt``, ``shares/<language>.txt``
(``word<TAB>share``) and ``fonts/<number>.ttf``.
"""

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from visir.errors import ModelError

HELD_SHARE = 50
"""One word in so many is never shown in training, so that reading can be told from remembering."""


@dataclass(frozen=True, slots=True)
class FontFile:
    """One font of the pack: its family, its bytes, and whether it has the letters of Latin languages other than English."""

    family: str
    data: bytes = field(repr=False)
    wide: bool


@dataclass(frozen=True)
class Pack:
    """What one split of a pack holds.

    Args:
        split: ``train`` or ``held``. No font family and no paragraph is in both; words in `is_held_word` are kept from ``train`` pages.
        texts: paragraphs (title, text) by language code.
        words: word lists by language code, all words.
        shares: words that are often written, by language code, with their shares of all that is written.
        fonts: the split's fonts.
    """

    split: str
    texts: dict[str, list[tuple[str, str]]]
    words: dict[str, list[str]]
    shares: dict[str, dict[str, float]]
    fonts: list[FontFile]

    @cached_property
    def common(self) -> dict[str, list[str]]:
        """The words that are often written, by language code."""
        return {language: list(told) for language, told in self.shares.items()}

    @classmethod
    def open(cls, path: str | Path, split: str = "train") -> "Pack":
        """Read one split of a pack into memory (about 40 MB).

        Raises:
            ModelError: there is none, or it is damaged, or an earlier visir made it.
        """
        if not Path(path).is_file():
            raise ModelError(f"{path}: no practice pack there; build one with `python -m visir.vira.practice.build_pack`")
        if not zipfile.is_zipfile(path):
            raise ModelError(f"{path}: a damaged practice pack; build it anew with `python -m visir.vira.practice.build_pack`")
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            fonts = [
                FontFile(font["family"], archive.read(font["file"]), font["wide"]) for font in manifest["fonts"] if font["split"] == split
            ]
            if not any(name.startswith("shares/") for name in archive.namelist()):
                raise ModelError(
                    f"{path}: a practice pack of an earlier visir; build it anew with `python -m visir.vira.practice.build_pack`"
                )
            texts, words, shares = {}, {}, {}
            for language in manifest["languages"]:
                lines = archive.read(f"texts/{language}.{split}.txt").decode().splitlines()
                texts[language] = [(title, text) for title, _, text in (line.partition("\t") for line in lines)]
                words[language] = archive.read(f"words/{language}.txt").decode().splitlines()
                rows = (line.partition("\t") for line in archive.read(f"shares/{language}.txt").decode().splitlines())
                shares[language] = {word: float(share) for word, _, share in rows}
        return cls(split, texts, words, shares, fonts)


@lru_cache(maxsize=500_000)
def is_held_word(word: str) -> bool:
    """Tell whether a folded word is kept from training pages (one in `HELD_SHARE`, by its CRC-32); numbers and short words never are."""
    return len(word) > 3 and word.isalpha() and zlib.crc32(f"held:{word}".encode()) % HELD_SHARE == 0

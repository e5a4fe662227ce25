"""unise-mini at work, without torch: it reads the words on a picture, and knows by them what a page says."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visir.errors import ModelError
from visir.language import named_language, own_words, stop_words
from visir.screenshot import Query, Screenshot, Word
from visir.unise.embedder import Calibration, Vectors
from visir.unise.gist import GistMap
from visir.unise.instructions import SEARCH
from visir.unise.looks import look_of
from visir.unise.onnx import ENCODER, TextEmbedder, normalise, open_text_embedder
from visir.unise.reading import PageReader, Reading
from visir.unise.regions import RegionQuery, Regions
from visir.unise.words import fold_word

_REMEMBERED = 64
# Pages that are embedded together; each is looked at for its words first, and for its gist when all are.
_TOGETHER = 32
_PICTURE_WORDS = 32
_LARGEST = 3.0
# The length of the vectors of words that are known by their letters. A word seen well is so like itself (cosine); at full length, words
# that merely resemble one another would count as the same.
_WORTH = 0.69
# A picture on which so many words of so many letters are read goes half by these and half by its looks.
_FEW, _TELLING = 3, 3
# Minus the logarithm of the share of all writing that a word has: one in 30,000.
_COMMON = 10.3
# A page on which one in so many of a language's own small words is seen is in that language.
_SPOKEN = 3


class MiniEmbedder:
    """The default model. A page whose source tells its words counts by these; of any other page it reads the picture.

    Args:
        folder: holds the files that `visir.train.export_mini` wrote.
        config: the folder's ``config.json``.
        device: where pages are read; see `PageReader`.
    """

    reads: Literal["pixels", "text"] = "pixels"

    def __init__(self, folder: Path, config: dict[str, Any], device: str = "auto") -> None:
        self._text: TextEmbedder = open_text_embedder(folder / ENCODER)
        self._reader = PageReader(folder, config["pixels"], device)
        self._lexicon = self._reader.lexicon
        self._gist = GistMap(folder / config["gist"]) if config.get("gist") else None
        self.name: str = config["name"]
        self.revision: str = f"{config['revision']}-{self._text.revision}"
        self.dim: int = self._text.dim
        self.calibration = Calibration(**config["calibration"])
        self._present: tuple[float, float] = tuple(config["present"])
        self._seen: OrderedDict[str, Reading] = OrderedDict()

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries; see `Embedder`. The instruction is ignored."""
        vectors = np.zeros((len(queries), self.dim), np.float32)
        for number, query in enumerate(queries):
            query = Query(query) if isinstance(query, str) else query
            if query.text:
                vectors[number] += self._text.encode_query([query.text])[0]
            if query.image:
                vectors[number] += self._vector_of(query.image)
        return normalise(vectors)

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed pages; see `Embedder`."""
        parts = [self._encode(documents[at : at + _TOGETHER]) for at in range(0, len(documents), _TOGETHER)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def _encode(self, documents: Sequence[Screenshot | str]) -> Vectors:
        # The encoder gets all texts at once, so that each may have a core.
        vectors = self._text.encode_document([document if isinstance(document, str) else self._text_of(document) for document in documents])
        for number, document in enumerate(documents):
            if not isinstance(document, str):
                vectors[number] = self._vector_of(document, vectors[number])
        return vectors

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return self._text.similarity(queries, documents)

    def encode_regions(self, documents: Sequence[Screenshot]) -> list[Regions]:
        """See `RegionEmbedder`: a vector for each word that the page's source tells; else for each that is seen, and what it reads as."""
        return [self._regions_of(document) for document in documents]

    def encode_query_regions(self, query: Query, seen: Regions | None = None) -> RegionQuery:
        """See `RegionEmbedder`: rare words weigh more, and of a picture's words the larger ones; it is asked with the most telling."""
        if query.image is None:
            words = _words_in(query.text)
            return self._asked(words, self._lexicon.vectors_of(words), self._lexicon.rarity_of(words))
        seen = seen or self._regions_of(query.image)
        # A picture asks by the words that it reads as; one on which none is read, by what it looks like.
        known = np.linalg.norm(seen.vectors, axis=1) < (1 + _WORTH) / 2
        asking = np.flatnonzero(known if known.any() else ~known)
        vectors = normalise(seen.vectors[asking])
        words = self._lexicon.spell(vectors)
        telling = self._lexicon.rarity_of(words) * _relative_height(seen.boxes[asking]) ** 2
        most = np.argsort(-telling, kind="stable")[:_PICTURE_WORDS]
        asked = self._asked([words[number] for number in most], vectors[most], telling[most])
        # A small word speaks for a page by next to nothing, and marked everywhere it would hide what does.
        small = stop_words(" ".join(asked.names))
        return replace(asked, marked=np.array([name not in small for name in asked.names], bool))

    def encode_difference(self, text: str) -> RegionQuery:
        """See `RegionEmbedder`: words rarer than one in 30,000, numbers, which are told apart by little, and languages.

        A page is in a language if a third of the small words are on it that tell this language from others.
        """
        words = _words_in(text)
        languages = [named_language(word) for word in words]
        # Numbers and languages tell as much as a word that is in no lexicon: it is as rare as can be.
        known = ["" if language or any(map(str.isdigit, word)) else word for word, language in zip(words, languages, strict=True)]
        weights = np.maximum(self._lexicon.rarity_of(known) - _COMMON, 0)
        weights /= weights.sum() + 1.0
        parts = [own_words(language) if language else (word,) for word, language in zip(words, languages, strict=True)]
        counts = [len(part) for part in parts]
        shares = [
            _SPOKEN * weight / count if language else weight for weight, count, language in zip(weights, counts, languages, strict=True)
        ]
        names = tuple(chain.from_iterable(parts))
        return RegionQuery(
            names,
            self._lexicon.vectors_of(names),
            np.repeat(np.array(shares, np.float32), counts),
            self._present,
            marked=np.repeat(np.array([not language for language in languages], bool), counts),
        )

    def read(self, document: Screenshot) -> Screenshot:
        """See `RegionEmbedder`: the page with the words that were read on it."""
        seen = self._look(document)
        boxes = [tuple(round(float(value), 4) for value in box) for box in seen.boxes]
        words = tuple(Word(word, box) for word, box in zip(seen.words, boxes, strict=True) if word)  # type: ignore[arg-type]
        return Screenshot(
            document.encoded, document.uri, document.page, document.title, " ".join(word.text for word in words), words, document.date
        )

    def _vector_of(self, document: Screenshot, told: Vectors | None = None) -> Vectors:
        """Return the vector of a page: of its words and its gist, and the fewer words there are, the more of its colours from afar."""
        said, gist = self.parts_of(document, told)
        return normalise(said + self._gist(gist) if self._gist and gist is not None else said)

    def parts_of(self, document: Screenshot, told: Vectors | None = None) -> tuple[Vectors, Vectors | None]:
        """Return what a page's words and colours make of its vector (dim,), before its gist is added; and the gist (g,), if it counts.

        Args:
            document: the page.
            told: the vector (dim,) of what it says, where it is known already.
        """
        told = self._text.encode_document([self._text_of(document)])[0] if told is None else told
        if document.words:
            gist = self._reader.glance(_decode(document)) if self._gist and document.encoded else None
            return told, gist
        seen = self._look(document)
        telling = float(sum(sure for word, sure in zip(seen.words, seen.sure, strict=True) if len(word) >= _TELLING))
        look = look_of(document.image, self.dim) / (1 + telling / _FEW)
        if telling:
            look += told * telling / (telling + _FEW)
        return look, seen.gist

    def _text_of(self, document: Screenshot) -> str:
        """Return what a page says: title and words that its source tells, or else what is read on its picture."""
        if document.words:
            return f"{document.title}\n{document.text}"
        return " ".join(word for word in (document.title, *self._look(document).words) if word)

    def _asked(self, words: Sequence[str], vectors: Vectors, weights: Vectors) -> RegionQuery:
        return RegionQuery(tuple(words), vectors, np.asarray(weights / (weights.sum() + 1e-9), np.float32), self._present)

    def _regions_of(self, document: Screenshot) -> Regions:
        # A text that is taken for a page has no picture to look at, and may be empty.
        if not document.words and document.encoded:
            seen = self._look(document)
            plain = [fold_word(word) for word in seen.words]
            read = np.array([bool(word) for word in plain], bool)
            worth = _WORTH * self._lexicon.vectors_of([word for word in plain if word])
            return Regions(np.concatenate([seen.boxes, seen.boxes[read]]), np.concatenate([seen.vectors, worth]))
        told = [(folded, word.box) for word in document.words if (folded := fold_word(word.text))]
        boxes = np.array([box for _, box in told], np.float32).reshape(-1, 4)
        return Regions(boxes, _WORTH * self._lexicon.vectors_of([folded for folded, _ in told]))

    def _look(self, document: Screenshot) -> Reading:
        """Look at a picture; the last ones are remembered, since one page is asked for its vector, its regions and its words."""
        key = hashlib.blake2b(document.encoded, digest_size=16).hexdigest()
        if key in self._seen:
            self._seen.move_to_end(key)
            return self._seen[key]
        seen = self._seen[key] = self._reader.look(_decode(document))
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return seen


def _decode(document: Screenshot) -> Image.Image:
    try:
        return document.image
    except OSError as error:
        raise ModelError(f"{document.uri or 'a picture'} cannot be decoded: {error}") from error


def _words_in(text: str) -> list[str]:
    return [word for word in dict.fromkeys(map(fold_word, text.split())) if word]


def _relative_height(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how high boxes (k, 4) are against the one in the middle, 0.5 to 3: a page's title says more of it than its small print."""
    heights = boxes[:, 3] - boxes[:, 1]
    return np.asarray((heights / max(1e-9, float(np.median(heights)))).clip(0.5, _LARGEST) if len(heights) else heights, np.float32)

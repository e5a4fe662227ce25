"""unise-mini at work, without torch: it reads the words on a picture, and knows by them what a page says."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot, Word
from visir.unise.embedder import Calibration, Vectors
from visir.unise.instructions import SEARCH
from visir.unise.onnx import TextEmbedder, normalise, open_text_embedder
from visir.unise.reading import PageReader, Reading
from visir.unise.regions import RegionQuery, Regions
from visir.unise.words import fold_word

_REMEMBERED = 64
_PICTURE_WORDS = 48


class MiniEmbedder:
    """The default model. A page whose source tells its words counts by these; of any other page it reads the picture.

    Args:
        folder: holds the files that `visir.train.export_mini` wrote.
        config: the folder's ``config.json``.
    """

    reads: Literal["pixels", "text"] = "pixels"

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._text: TextEmbedder = open_text_embedder(folder.parent / config["text"])
        self._reader = PageReader(folder, config["pixels"])
        self.name: str = config["name"]
        self.revision: str = f"{config['revision']}-{self._text.revision}"
        self.dim: int = self._text.dim
        self.calibration = Calibration(**config["calibration"])
        self._present: tuple[float, float] = tuple(config["present"])
        self._seen: OrderedDict[str, tuple[Reading, list[str]]] = OrderedDict()

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries; see `Embedder`. The instruction is ignored."""
        vectors = np.zeros((len(queries), self.dim), np.float32)
        for number, query in enumerate(queries):
            query = Query(query) if isinstance(query, str) else query
            texts = [query.text] if query.text else []
            texts += [self._words_of(query.image)] if query.image else []
            vectors[number] = self._text.encode_document(texts).sum(0)
        return normalise(vectors)

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed pages; see `Embedder`."""
        return self._text.encode_document([document if isinstance(document, str) else self._words_of(document) for document in documents])

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return self._text.similarity(queries, documents)

    def encode_regions(self, documents: Sequence[Screenshot]) -> list[Regions]:
        """See `RegionEmbedder`: one vector for each word that is seen."""
        return [Regions(seen.boxes, seen.vectors) for seen, _ in map(self._look, documents)]

    def encode_query_regions(self, query: Query) -> RegionQuery:
        """See `RegionEmbedder`: the query's words by their letters, and those of its picture by their looks; rare ones weigh more."""
        words = [word for word in dict.fromkeys(map(fold_word, query.text.split())) if word]
        vectors, weights = self._reader.vectors_of(words), self._reader.rarity_of(words)
        if query.image is not None:
            seen, spelt = self._look(query.image)
            rarity = self._reader.rarity_of(spelt)
            telling = np.argsort(-rarity, kind="stable")[:_PICTURE_WORDS]
            words = words + [spelt[number] for number in telling]
            vectors = np.concatenate([vectors, seen.vectors[telling]])
            weights = np.concatenate([weights, rarity[telling] * (0.5 if query.text else 1.0)])
        return RegionQuery(tuple(words), vectors, weights / max(1e-9, float(weights.sum())), self._present)

    def read(self, document: Screenshot) -> Screenshot:
        """See `RegionEmbedder`: the page with the words that were read on it."""
        seen, spelt = self._look(document)
        boxes = [tuple(round(float(value), 4) for value in box) for box in seen.boxes]
        words = tuple(Word(word, box) for word, box in zip(spelt, boxes, strict=True) if word)  # type: ignore[arg-type]
        return Screenshot(
            document.encoded, document.uri, document.page, document.title, " ".join(word.text for word in words), words, document.date
        )

    def _words_of(self, document: Screenshot) -> str:
        if document.words:
            return f"{document.title}\n{document.text}"
        return " ".join(word for word in self._look(document)[1] if word)

    def _look(self, document: Screenshot) -> tuple[Reading, list[str]]:
        """Look at a picture; the last ones are remembered, since one page is asked for its vector, its regions and its words."""
        key = hashlib.blake2b(document.encoded, digest_size=16).hexdigest()
        if key in self._seen:
            self._seen.move_to_end(key)
            return self._seen[key]
        try:
            seen = self._reader.look(document.image)
        except OSError as error:
            raise ModelError(f"{document.uri or 'a picture'} cannot be decoded: {error}") from error
        self._seen[key] = seen, self._reader.spell(seen.vectors)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return self._seen[key]

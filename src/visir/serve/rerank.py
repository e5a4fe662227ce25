"""How well documents that are sent along, or named, answer a query: by what they mean, and by what stands on them."""

from collections.abc import Sequence

import numpy as np

from visir.screenshot import Query, Screenshot, Word
from visir.unise import evidence
from visir.unise.embedder import Embedder, Vectors
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions

_AT_ONCE = 8
_NOWHERE = (0.0, 0.0, 0.0, 0.0)


def weigh(embedder: Embedder, query: Query, documents: Sequence[Screenshot | str]) -> list[float]:
    """Score documents, 0 to 1, joined as a search joins them: the vectors' similarity, and late interaction where the model gives regions.

    Args:
        embedder: the model.
        query: what is asked.
        documents: pages, pictures and texts.
    """
    cosines = embedder.similarity(embedder.encode_query([query]), embed(embedder, documents))[0]
    if not isinstance(embedder, RegionEmbedder):
        return _rounded(evidence.meaning(cosines, query, embedder.calibration, words=False))
    pages = embedder.encode_regions([_with_words(document) if isinstance(document, str) else document for document in documents])
    if query.image is None:
        chances = _present(embedder.encode_query_regions(query), pages)
        return _rounded(evidence.join(evidence.words(chances, chances), evidence.meaning(cosines, query, embedder.calibration)))
    asked = embedder.encode_query_regions(Query(image=query.image))
    alike = evidence.likeness(_present(asked, pages), cosines, len(asked.names))
    return _rounded(evidence.turn(alike, _present(embedder.encode_difference(query.text), pages)) if query.text else alike)


def embed(embedder: Embedder, documents: Sequence[Screenshot | str]) -> Vectors:
    """Embed documents a few at a time, so that queries of others go between."""
    return np.concatenate([embedder.encode_document(documents[at : at + _AT_ONCE]) for at in range(0, len(documents), _AT_ONCE)])


def _with_words(text: str) -> Screenshot:
    return Screenshot(b"", words=tuple(Word(word, _NOWHERE) for word in text.split()))


def _present(asked: RegionQuery, pages: Sequence[Regions]) -> Vectors:
    return np.array([asked.match(regions)[0] for regions in pages], np.float32)


def _rounded(scores: Vectors) -> list[float]:
    return [round(float(score), 6) for score in scores]

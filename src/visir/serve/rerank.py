"""How well documents that are sent along, or named, answer a query: by what they mean, and by what stands on them."""

from collections.abc import Sequence

import numpy as np

from visir.screenshot import Query, Screenshot, Word
from visir.unise import evidence
from visir.unise.embedder import Embedder, Vectors
from visir.unise.late import score_pictures, score_texts
from visir.unise.regions import RegionEmbedder

_AT_ONCE = 8
_NOWHERE = (0.0, 0.0, 0.0, 0.0)


def weigh(embedder: Embedder, query: Query, documents: Sequence[Screenshot | str]) -> list[float]:
    """Score documents, 0 to 1, joined as a search joins them: the vectors' similarity, and late interaction where the model gives regions.

    Args:
        embedder: the model.
        query: what is asked.
        documents: pages, pictures and texts.
    """
    cosines = embedder.similarity(embedder.encode_query([query]), embed(embedder, documents))
    if not isinstance(embedder, RegionEmbedder):
        return _rounded(evidence.meaning(cosines[0], query, embedder.calibration))
    shown = [_with_words(document) if isinstance(document, str) else document for document in documents]
    pages = [regions.pack() for regions in embedder.encode_regions(shown)]
    if query.image is None:
        return _rounded(score_texts(embedder, [query], pages, cosines)[0])
    seen = [embedder.encode_regions([query.image])[0].pack()]
    texts = {number: document for number, document in enumerate(documents) if isinstance(document, str)}
    return _rounded(score_pictures(embedder, [query], seen, pages, texts, cosines)[0])


def embed(embedder: Embedder, documents: Sequence[Screenshot | str]) -> Vectors:
    """Embed documents a few at a time, so that queries of others go between."""
    return np.concatenate([embedder.encode_document(documents[at : at + _AT_ONCE]) for at in range(0, len(documents), _AT_ONCE)])


def _with_words(text: str) -> Screenshot:
    return Screenshot(b"", words=tuple(Word(word, _NOWHERE) for word in text.split()))


def _rounded(scores: Vectors) -> list[float]:
    return [round(float(score), 6) for score in scores]

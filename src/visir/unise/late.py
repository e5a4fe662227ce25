"""Late interaction of queries with pages whose regions are known, joined with their vectors as a search joins them."""

from collections.abc import Iterable, Sequence

import numpy as np

from visir.screenshot import Query
from visir.unise import evidence
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions
from visir.unise.words import Floats

# Few words prove little: so many make half the proof that many do.
_FEW_WORDS = 2


def score_texts(embedder: RegionEmbedder, queries: Sequence[Query], pages: Sequence[bytes], cosines: Floats) -> Floats:
    """Return what speaks for pages where words alone ask, 0 to 1.

    Args:
        embedder: the model.
        queries: without pictures.
        pages: the regions of each, packed.
        cosines: (queries, pages) of their vectors.
    """
    chances = present([embedder.encode_query_regions(query) for query in queries], pages)
    typed = evidence.words(chances, chances)
    meant = [evidence.meaning(row, query, embedder.calibration, words) for row, query, words in zip(cosines, queries, typed, strict=True)]
    return evidence.join(typed, np.array(meant, np.float32).reshape(chances.shape))


def score_pictures(
    embedder: RegionEmbedder,
    queries: Iterable[Query],
    seen: Sequence[bytes],
    pages: Sequence[bytes],
    texts: dict[int, str],
    cosines: Floats,
) -> Floats:
    """Return what speaks for pages and texts where pictures ask, with words beside them or without, 0 to 1.

    Args:
        embedder: the model.
        queries: with pictures; gone through once, so that these need not lie in memory together.
        seen: the regions of each picture, packed.
        pages: the regions of each page or text, packed.
        texts: which of the pages are texts, by their numbers: an answer, the name of a class.
        cosines: (queries, pages) of their vectors.
    """
    ask = embedder.encode_query_regions
    asked: list[RegionQuery] = []
    said: list[str] = []
    for query, packed in zip(queries, seen, strict=True):
        asked.append(ask(Query(image=query.image), Regions.unpack(packed)))
        said.append(query.text)
    shared = present(asked, pages)
    differ = present([embedder.encode_difference(text) for text in said], pages)
    # A text, such as an answer, is looked for on the picture that asks; few words prove little.
    numbers = np.array(list(texts), np.int64)
    parts = [ask(Query(text)) for text in texts.values()]
    proof = np.array([len(part.names) / (len(part.names) + _FEW_WORDS) for part in parts], np.float32)
    shared[:, numbers] = present(parts, seen).T * proof
    differ[:, numbers] = 0
    found = np.array([len(query.names) for query in asked]).reshape(-1, 1).repeat(len(pages), 1)
    alone = np.array([not text for text in said], bool)
    # With no question, what is asked is what the picture is, as by the name of a class, and not what stands on it.
    found[np.ix_(alone, numbers)] = 0
    alike = evidence.likeness(shared, cosines, found)
    return np.where(alone[:, None], alike, evidence.turn(alike, differ))


def present(queries: Sequence[RegionQuery], pages: Sequence[bytes]) -> Floats:
    """Return the weighted chance that each query's parts are on each page, shape (queries, pages); exact, page by page.

    Args:
        queries: of one model.
        pages: the regions of each page, packed: they take a quarter of the memory.
    """
    scores = np.zeros((len(queries), len(pages)), np.float32)
    # A picture with nothing on it has no parts, and vectors of no length.
    asked = [(number, query) for number, query in enumerate(queries) if len(query.names)]
    if not asked:
        return scores
    # Words that several queries ask for are looked for once.
    rows, part = np.unique(np.concatenate([query.vectors for _, query in asked]), axis=0, return_inverse=True)
    weights = np.concatenate([query.weights for _, query in asked])
    counts = [len(query.names) for _, query in asked]
    owner = np.repeat([number for number, _ in asked], counts)
    middle, width = (np.repeat([query.present[which] for _, query in asked], counts).astype(np.float32) for which in (0, 1))
    for number, packed in enumerate(pages):
        page = Regions.unpack(packed)
        if len(page.vectors):
            chances = 1.0 / (1.0 + np.exp((middle - (rows @ page.vectors.T).max(1)[part]) / width))
            scores[:, number] = np.bincount(owner, chances * weights, len(queries))
    return np.minimum(scores, 1)

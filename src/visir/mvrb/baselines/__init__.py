"""What a model is compared with: OCR and text retrieval, general multimodal models, document retrievers, and two controls."""

from visir.mvrb.baselines.controls import GreyPictures, Random
from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.baselines.words import Bm25, OcrWords
from visir.mvrb.cache import Cache
from visir.mvrb.retriever import Retriever
from visir.unise.embedder import load_embedder

BASELINES = ("random", "grey", "ocr-bm25")
"""Names of baselines that are no embedding models; any other name is a model for `load_embedder`."""


def load_retriever(name: str, cache: Cache) -> Retriever:
    """Return a baseline by name, or the embedding model of that name or folder.

    Raises:
        ModelError: there is none of that name.
    """
    if name == "random":
        return Random()
    if name == "grey":
        return GreyPictures()
    if name == "ocr-bm25":
        return Bm25(OcrWords(cache))
    return EmbeddingRetriever(load_embedder(name), cache)

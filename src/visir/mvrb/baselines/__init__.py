"""What a model is compared with: OCR and text retrieval, general multimodal models, document retrievers, and two controls."""

from collections.abc import Sequence
from pathlib import Path

from visir.errors import ModelError
from visir.mvrb.baselines.controls import GreyPictures, Random
from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.baselines.kinds import is_late_interaction
from visir.mvrb.baselines.ocr import Engine, RapidOcr, Tesseract
from visir.mvrb.baselines.regions import RegionRetriever
from visir.mvrb.baselines.words import Bm25
from visir.mvrb.cache import Cache
from visir.mvrb.retriever import Retriever
from visir.unise.embedder import device_for, is_hub_name, load_embedder, shipped_models
from visir.unise.regions import RegionEmbedder

BASELINES = ("random", "grey", "ocr-bm25", "rapidocr-bm25")
"""Names of baselines that are no embedding models; any other name is a model."""

PARTS = (":vector", ":regions")
"""What may stand behind the name of a model that gives regions."""

_RAPIDOCR = "rapidocr-"


def check_names(names: Sequence[str]) -> None:
    """Make sure that each name is one that `load_retriever` knows, or may find on a hub, before any of them is measured.

    Raises:
        ModelError: one can be none.
    """
    for name in names:
        plain, _ = parted(name.removeprefix(_RAPIDOCR))
        if not (name in BASELINES or plain == "bm25" or plain in shipped_models() or is_hub_name(plain) or Path(plain).exists()):
            known = ", ".join((*BASELINES, *shipped_models()))
            raise ModelError(f"there is no model {name!r}: choose one of {known}, a model's folder, or its name on a hub")


def parted(name: str) -> tuple[str, str]:
    """Part a model's name from which part of it is meant."""
    part = next((part for part in PARTS if name.endswith(part)), "")
    return name.removesuffix(part), part


def load_retriever(name: str, cache: Cache, device: str = "auto", ocr_language: str = "eng") -> Retriever:
    """Return a baseline by name, or the model of that name or folder.

    Args:
        name: one of `BASELINES`; a text model's name after ``rapidocr-``; a model's name or folder, as for `load_embedder`. A model that
            gives regions is measured as `visir search` uses it, its vector and its regions joined; behind its name ``:vector`` or
            ``:regions`` stands for the one or the other alone.
        cache: keeps vectors and texts.
        device: where to run what can run there, a model or RapidOCR; see `device_for`.
        ocr_language: language codes of tesseract, joined by ``+``, for baselines that it reads for.

    Raises:
        ModelError: there is none of that name.
    """
    if name == "random":
        return Random()
    if name == "grey":
        return GreyPictures(cache)
    plain = name.removeprefix(_RAPIDOCR)

    def engine() -> Engine:
        return Tesseract(ocr_language) if plain == name else RapidOcr(device)

    if plain in ("ocr-bm25", "bm25"):
        return Bm25(cache, engine())
    if is_late_interaction(plain):
        try:
            from visir.mvrb.baselines.late import LateInteraction
        except ImportError as error:
            raise ModelError(f"the model {plain} runs in torch: pip install 'visir[train]' ({error})") from error
        return LateInteraction.load(plain, cache, device_for(plain, device))
    model, part = parted(plain)
    embedder = load_embedder(model, device_for(model, device))
    if plain != name and embedder.reads != "text":
        raise ModelError(f"{name}: the model {plain} looks at pixels and needs no OCR")
    if part and not isinstance(embedder, RegionEmbedder):
        raise ModelError(f"the model {model} gives one vector a page and no regions: leave out {part}")
    if isinstance(embedder, RegionEmbedder) and part != ":vector":
        return RegionRetriever(embedder, cache, part == ":regions")
    return EmbeddingRetriever(embedder, cache, engine, part)

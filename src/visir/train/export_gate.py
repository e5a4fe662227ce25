"""Asks an export's gate with training pairs."""

import contextlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from visir.errors import ModelError
from visir.screenshot import Screenshot
from visir.train.pairs import PairSet
from visir.train.sources import open_source
from visir.unise.embedder import load_embedder
from visir.unise.export_clip import Gate, GateItem, export_clip
from visir.unise.sentence import SentenceEmbedder


def export_model(name: str, folder: Path, precision: str, source: str, limit: int) -> dict[str, Gate]:
    """Export a model by name; see `export_clip`. The gate asks the first ``limit`` pairs of each kind of a source, of both splits.

    Raises:
        ModelError: the model cannot be loaded or exported, or its copy strays too far from it.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for each file that is read would hide the gate's lines
    model = load_embedder(name, "cpu", "float32")
    if not isinstance(model, SentenceEmbedder):
        raise ModelError(f"{name}: only a UniSE-CLIP can be exported, and this model runs without torch already")
    items, documents = gate_items([*open_source(source, "held"), *open_source(source, "train")], limit)
    if not items:
        raise ModelError(f"{source}: no pairs there that the gate could ask")
    with hushed():
        return export_clip(model, folder, precision, items, documents)


def gate_items(sets: Iterable[PairSet], limit: int) -> tuple[list[GateItem], list[Screenshot]]:
    """Return what a gate asks, the first ``limit`` pairs of each set that finds screenshots, and these screenshots, each once."""
    items: list[GateItem] = []
    documents: list[Screenshot] = []
    place: dict[str, int] = {}
    for pairs in sets:
        if pairs.finds_text:
            continue
        for pair in pairs.pairs[:limit]:
            if pair.document not in place:
                place[pair.document] = len(documents)
                documents.append(Screenshot(pairs.images[pair.document]))
            items.append(GateItem(pairs.query(pair), place[pair.document]))
    return items, documents


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep what the exporter tells its developers off the terminal; its errors still come through."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)

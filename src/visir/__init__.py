"""Search everything by how it looks.

::

    import visir

    with visir.Index.open("my-index") as index:
        index.add("papers/")
        for hit in index.search("chart of rainfall"):
            print(hit.score, hit.uri, hit.page)
"""

import os
from typing import TYPE_CHECKING, Any

# onnxruntime's wheels for Linux count what is done with them and send it away, from their import on; its own function comes too late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from visir.capture import CaptureOptions, capture
from visir.errors import VisirError
from visir.screenshot import Hit, Query, Screenshot, Word

if TYPE_CHECKING:
    from visir.index import Index
    from visir.unise.embedder import Embedder, load_embedder

_LATER = {"Embedder": "visir.unise.embedder", "Index": "visir.index", "load_embedder": "visir.unise.embedder"}

__all__ = ["CaptureOptions", "Embedder", "Hit", "Index", "Query", "Screenshot", "VisirError", "Word", "capture", "load_embedder"]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: the index brings half a second of imports that capture can do without.
    if name not in _LATER:
        raise AttributeError(f"module 'visir' has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = getattr(import_module(_LATER[name]), name)
    return globals()[name]

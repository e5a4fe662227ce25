"""How small screenshots may be: every picture drawn smaller before any model sees it."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

from PIL import Image

from visir.mvrb.cache import key_of
from visir.mvrb.data import Row
from visir.mvrb.evaluate import Evaluation, evaluate, paired_by_query
from visir.mvrb.experiments.setting import Cell, Finding, Setting, percent, span, with_rows
from visir.mvrb.pictures import PictureSource
from visir.screenshot import flatten

_SIDES = (1280, 896, 640, 448, 320, 224)


class Shrunk:
    """Pictures whose longer side is at most so many pixels, as a `PictureSource`.

    Args:
        source: the pictures.
        side: the longest side, in pixels.
    """

    def __init__(self, source: PictureSource, side: int) -> None:
        self._source = source
        self._side = side

    def read(self, path: str, where: str) -> bytes:
        """Return the picture, drawn smaller by Lanczos where it is larger, as PNG; untouched where it is not."""
        raw = self._source.read(path, where)
        with Image.open(io.BytesIO(raw)) as picture:
            if max(picture.size) <= self._side:
                return raw
            small = flatten(picture)
            small.thumbnail((self._side, self._side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def digest(self, path: str, where: str) -> bytes:
        """Return what the picture and its size determine."""
        return key_of("shrunk", str(self._side), self._source.digest(path, where))

    def check(self, wanted: Sequence[tuple[str, str]], note: Callable[[int], None] = lambda done: None) -> None:
        """Check the pictures themselves."""
        self._source.check(wanted, note)


def resolution(setting: Setting) -> Finding:
    """Measure with every picture, asked or offered, at falling sizes (the paper: small screenshots retrieve blurrily).

    Sizes are the longer side in pixels. A model that has one input size of its own draws what is smaller larger again.
    """
    tasks = [task for task in setting.tasks() if "image" in (task.query_kind, task.candidate_kind) or task.query_kind == "image+text"]
    rows: list[list[Cell]] = []
    for retriever in setting.retrievers():
        first: Evaluation | None = None
        for side in setting.sizes or _SIDES:
            sources: dict[PictureSource, Shrunk] = {}

            def shrink(row: Row, side: int = side, sources: dict[PictureSource, Shrunk] = sources) -> Row:
                return replace(row, pictures=sources.setdefault(row.pictures, Shrunk(row.pictures, side)))

            evaluation = evaluate([with_rows(task, shrink) for task in tasks], retriever, setting.tell)
            first = first or evaluation
            score = percent(evaluation.overall["recall_at_1"])
            chance = paired_by_query(first, evaluation)
            rows.append([retriever.name, side, score, span(*evaluation.interval()), percent(evaluation.overall["recall_at_10"]), chance])
    columns = ["model", "longer side, pixels", "Recall@1", "interval", "Recall@10", "p"]
    return Finding("resolution", f"{len(tasks)} tasks; Recall, %, the mean over tasks; p against the first size.", columns, rows)
